/*
 * Who fetches kept policies again, and when is his turn?
 *
 * Called by main.c (begin), discover.c (plans) and ctl.c (now).  Plans lie in
 * a heap by time; the record's own refresh_s says whether one still counts.
 * A few refreshes run at a time: one policy host that hangs holds one place
 * (T45).  A refresh touches nothing that mail waits for.
 */
#include "policy/refresher.h"

#include "conf/log.h"
#include "policy/refresh.h"
#include "policy/txt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RUNNING_MAX	8
#define SLICE_ROWS	200
#define SWEEP_EACH_MS	(24 * 3600 * 1000)
/* The wall clock may be set: look at it this often at least. */
#define LOOK_EACH_S	600
#define DAY_S		86400

struct plan {
	int64_t	 when_s;
	char	*domain;
};

/* One refresh under way. */
struct run {
	struct run		*next;
	struct refresher	*refresher;
	struct domain		 domain;
	struct txt_found	 txt;
	bool			 asked_for;	/* by an operator */
	refresher_call		*call;
	void			*context;
};

struct refresher {
	struct dns	*dns;
	struct cache	*cache;
	struct obtain	*obtain;
	struct timer	*due_timer, *sweep_timer;
	struct plan	*plans;		/* a heap, least first */
	size_t		 plans_n, plans_size;
	struct run	*runs;
	unsigned	 runs_n;
	struct domain	 swept;		/* the sweep's resume key */
	bool		 loaded;	/* the first sweep is over */
	bool		 off;		/* plans wait */
};

static void	run_due(void *context);

static uint32_t
random_bits(void)
{
	uint32_t bits;

	if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits))
		fatal("no random number for a refresh");
	return bits;
}

/*
 * The heap.
 */

static void
swap(struct plan *a, struct plan *b)
{
	struct plan old = *a;

	*a = *b;
	*b = old;
}

static void
heap_push(struct refresher *refresher, int64_t when_s, const char *domain)
{
	struct plan *plans;
	size_t at = refresher->plans_n++;

	if (refresher->plans_n > refresher->plans_size) {
		refresher->plans_size = 2 * refresher->plans_n;
		refresher->plans = mem_grow(refresher->plans,
		    refresher->plans_size * sizeof(struct plan));
	}
	plans = refresher->plans;
	plans[at].when_s = when_s;
	plans[at].domain = mem_copy(domain);
	for (; at > 0 && plans[at].when_s < plans[(at - 1) / 2].when_s;
	    at = (at - 1) / 2)
		swap(&plans[at], &plans[(at - 1) / 2]);
}

static void
heap_pop(struct refresher *refresher)
{
	struct plan *plans = refresher->plans;
	size_t at = 0, least;

	free(plans[0].domain);
	plans[0] = plans[--refresher->plans_n];
	for (;;) {
		least = 2 * at + 1;
		if (least >= refresher->plans_n)
			return;
		if (least + 1 < refresher->plans_n &&
		    plans[least + 1].when_s < plans[least].when_s)
			least++;
		if (plans[at].when_s <= plans[least].when_s)
			return;
		swap(&plans[at], &plans[least]);
		at = least;
	}
}

static void
arm(struct refresher *refresher)
{
	int64_t wait_s;

	if (refresher->off || refresher->plans_n == 0 ||
	    refresher->runs_n >= RUNNING_MAX)
		return;
	wait_s = refresher->plans[0].when_s - loop_wall_s();
	if (wait_s > LOOK_EACH_S)
		wait_s = LOOK_EACH_S;
	timer_set(refresher->due_timer, wait_s <= 0 ? 0 : wait_s * 1000);
}

void
refresher_plan(void *context, const struct domain *domain, int64_t when_s)
{
	struct refresher *refresher = context;

	heap_push(refresher, when_s, domain->name);
	arm(refresher);
}

/*
 * A run.
 */

static void
run_end(struct run *run, bool good, const char *text)
{
	struct refresher *refresher = run->refresher;
	struct run **at = &refresher->runs;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	if (!run->asked_for)
		refresher->runs_n--;
	if (run->call != NULL)
		run->call(run->context, good, text);
	free(run);
	arm(refresher);
}

/* STS-10.2-3 RFC 8461 10.2: long before the policy runs out. */
static void
say_alarm(const struct cache_record *record)
{
	int64_t now_s = loop_wall_s();

	if (!refresh_is_alarming(record, now_s))
		return;
	log_alarm("policy", "the policy of %s cannot be refreshed (%s); it "
	    "ends in %lld days", record->domain.name, record->error_text,
	    (long long)((cache_expires(record) - now_s) / DAY_S));
}

static void
plan_record(struct refresher *refresher, struct cache_record *record,
    int64_t when_s)
{
	record->refresh_s = when_s;
	cache_put(refresher->cache, record, NULL);
	if (when_s != 0)
		refresher_plan(refresher, &record->domain, when_s);
}

static void
on_obtained(void *context, const struct obtained *obtained)
{
	struct run *run = context;
	struct refresher *refresher = run->refresher;
	struct cache_record record;
	int64_t now_s = loop_wall_s(), when_s;

	if (!cache_get(refresher->cache, &run->domain, &record)) {
		run_end(run, false, "the policy cache cannot be read");
		return;
	}
	if (run->txt.txt == TXT_OTHER &&
	    strcmp(run->txt.id, record.id) == 0)
		currency_note_txt(&record, run->txt.ttl_s, now_s);
	/* Our own failure says nothing: soon again. */
	when_s = obtained->outcome == FETCHED_OURS ?
	    now_s + LOOK_EACH_S + random_bits() % LOOK_EACH_S :
	    refresh_next(&record, now_s, random_bits());
	plan_record(refresher, &record, when_s);
	if (obtained->outcome == FETCHED_BAD)
		say_alarm(&record);
	run_end(run, obtained->outcome == FETCHED_GOOD, obtained->text);
}

/* STS-10.2-2 RFC 8461 10.2: whatever the TXT says, and with its id. */
static void
on_txt(void *context, const struct txt_found *txt)
{
	struct run *run = context;
	struct refresher *refresher = run->refresher;
	struct cache_record record;
	const char *id = txt->id;

	run->txt = *txt;
	if (!cache_get(refresher->cache, &run->domain, &record)) {
		run_end(run, false, "the policy cache cannot be read");
		return;
	}
	if (id[0] == '\0')
		id = record.id;
	if (id[0] == '\0')
		run_end(run, false, txt_reason(txt));
	else
		obtain_policy(refresher->obtain, &run->domain, id, on_obtained,
		    run);
}

static struct run *
run_begin(struct refresher *refresher, const struct domain *domain,
    bool asked_for)
{
	struct run *run;

	run = mem_alloc(sizeof(*run));
	run->refresher = refresher;
	run->domain = *domain;
	run->asked_for = asked_for;
	run->next = refresher->runs;
	refresher->runs = run;
	if (!asked_for)
		refresher->runs_n++;
	txt_find(refresher->dns, domain, asked_for, on_txt, run);
	return run;
}

void
refresher_now(struct refresher *refresher, const struct domain *domain,
    refresher_call *call, void *context)
{
	struct run *run = run_begin(refresher, domain, true);

	run->call = call;
	run->context = context;
}

static bool
is_running(const struct refresher *refresher, const struct domain *domain)
{
	const struct run *run = refresher->runs;

	while (run != NULL && !domain_equal(&run->domain, domain))
		run = run->next;
	return run != NULL;
}

/* A plan's time has come; does its record still say so? */
static void
run_if_due(struct refresher *refresher, const struct domain *domain)
{
	struct cache_record record;
	int64_t now_s = loop_wall_s();

	if (is_running(refresher, domain))
		return;
	if (!cache_get(refresher->cache, domain, &record))
		heap_push(refresher, now_s + LOOK_EACH_S, domain->name);
	else if (refresh_is_due(&record, now_s))
		run_begin(refresher, domain, false);
	else if (record.refresh_s != 0 && record.refresh_s <= now_s)
		plan_record(refresher, &record, 0);	/* until mail comes */
}

static void
run_due(void *context)
{
	struct refresher *refresher = context;
	struct domain domain;

	while (!refresher->off && refresher->plans_n > 0 &&
	    refresher->runs_n < RUNNING_MAX &&
	    refresher->plans[0].when_s <= loop_wall_s()) {
		if (!slice_store(slice_of(refresher->plans[0].domain),
		    domain.name, sizeof(domain.name)))
			bug("a planned domain is too long");
		heap_pop(refresher);
		run_if_due(refresher, &domain);
	}
	arm(refresher);
}

/*
 * The sweep.
 */

static void
sweep_record(struct refresher *refresher, struct cache_record *record)
{
	int64_t now_s = loop_wall_s(), when_s;

	if (refresh_is_useless(record, now_s)) {
		cache_forget(refresher->cache, &record->domain);
		return;
	}
	if (refresher->loaded)
		return;
	when_s = refresh_after_start(record, now_s, random_bits());
	if (when_s != record->refresh_s)
		plan_record(refresher, record, when_s);
	else if (when_s != 0)
		refresher_plan(refresher, &record->domain, when_s);
}

static void
sweep(void *context)
{
	struct refresher *refresher = context;
	struct cache_record record;
	unsigned rows;

	for (rows = 0; rows < SLICE_ROWS; rows++) {
		if (!cache_next(refresher->cache, &refresher->swept,
		    &record)) {
			refresher->swept.name[0] = '\0';
			refresher->loaded = true;
			timer_set(refresher->sweep_timer, SWEEP_EACH_MS);
			return;
		}
		refresher->swept = record.domain;
		sweep_record(refresher, &record);
	}
	timer_set(refresher->sweep_timer, 0);
}

struct refresher *
refresher_new(struct loop *loop, struct dns *dns, struct cache *cache,
    struct obtain *obtain)
{
	struct refresher *refresher;

	refresher = mem_alloc(sizeof(*refresher));
	refresher->dns = dns;
	refresher->cache = cache;
	refresher->obtain = obtain;
	refresher->due_timer = timer_new(loop, run_due, refresher);
	refresher->sweep_timer = timer_new(loop, sweep, refresher);
	return refresher;
}

void
refresher_set(struct refresher *refresher, const struct config *config)
{
	refresher->off = config->mta_sts == CONFIG_STS_OFF;
	arm(refresher);
}

void
refresher_begin(struct refresher *refresher)
{
	timer_set(refresher->sweep_timer, 0);
}
