/*
 * What is with delivery now, and what is next for it?
 *
 * Called by dispatch.c, and by the operator's verbs for the state "active".
 * Two tables in memory, of destinations being served and of jobs, and for
 * each destination a window on what is due there: read ahead in one go, so
 * that drawing a message costs the same however many wait.
 * It writes nothing to disk and speaks to nobody.
 */
#include "queue/flight.h"

#include "queue/destination.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS	256

struct flight {
	LIST_HEAD(, active)	 actives[BUCKETS];
	LIST_HEAD(, job)	 jobs[BUCKETS];
	unsigned		 handed;
	unsigned		 jobs_n;
};

struct flight *
flight_new(void)
{
	return mem_alloc(sizeof(struct flight));
}

static void
free_active(struct flight *flight, struct active *active)
{
	if (active->handed)
		flight->handed--;
	trail_free(&active->trail);
	LIST_REMOVE(active, bucket);
	free(active->ending);
	free(active);
}

static void
free_job(struct flight *flight, struct job *job)
{
	struct active *active = job->active;

	LIST_REMOVE(job, bucket);
	LIST_REMOVE(job, of_active);
	free(job);
	flight->jobs_n--;
	if (!active->handed && active->ending == NULL &&
	    LIST_EMPTY(&active->jobs))
		free_active(flight, active);
}

void
flight_clear(struct flight *flight)
{
	struct active *active;
	struct job *job;

	for (unsigned i = 0; i < BUCKETS; i++)
		while ((job = LIST_FIRST(&flight->jobs[i])) != NULL)
			free_job(flight, job);
	for (unsigned i = 0; i < BUCKETS; i++)
		while ((active = LIST_FIRST(&flight->actives[i])) != NULL)
			free_active(flight, active);
}

void
flight_free(struct flight **flight)
{
	flight_clear(*flight);
	free(*flight);
	*flight = NULL;
}

/* ---- destinations ---- */

struct active *
flight_find(const struct flight *flight, uint64_t destination)
{
	struct active *active;

	LIST_FOREACH(active, &flight->actives[destination % BUCKETS], bucket)
		if (active->number == destination)
			return active;
	return NULL;
}

struct active *
flight_add(struct flight *flight, const struct destination *destination)
{
	struct active *active = mem_alloc(sizeof(*active));

	active->number = destination->number;
	active->scan.destination = destination->number;
	memcpy(active->domain, destination->domain, sizeof(active->domain));
	active->class = destination->class;
	LIST_INIT(&active->jobs);
	LIST_INSERT_HEAD(&flight->actives[active->number % BUCKETS], active,
	    bucket);
	return active;
}

void
flight_hand(struct flight *flight, struct active *active,
    const struct destination *destination, uint64_t now_ms)
{
	if (!active->handed)
		flight->handed++;
	active->handed = true;
	active->results = 0;
	active->held_until_ms = destination_held_until(destination, now_ms);
	active->trail.destination = destination->number;
	active->trail.attempt = destination->attempts + 1;
	active->trail.began_ms = now_ms;
}

void
flight_hold(struct active *active, uint64_t until_ms)
{
	active->held_until_ms = until_ms;
}

void
flight_end(struct flight *flight, struct active *active)
{
	free(active->ending);
	active->ending = NULL;
	if (LIST_EMPTY(&active->jobs)) {
		free_active(flight, active);
		return;
	}
	if (active->handed)
		flight->handed--;
	active->handed = false;
	trail_free(&active->trail);
	memset(&active->trail, 0, sizeof(active->trail));
}

unsigned
flight_handed(const struct flight *flight)
{
	return flight->handed;
}

/* ---- jobs ---- */

struct job *
flight_new_job(struct flight *flight, struct active *active, uint64_t number,
    const struct message *message)
{
	struct job *job = mem_alloc(sizeof(*job));

	job->active = active;
	job->number = number;
	job->message = *message;
	LIST_INSERT_HEAD(&flight->jobs[number % BUCKETS], job, bucket);
	LIST_INSERT_HEAD(&active->jobs, job, of_active);
	flight->jobs_n++;
	return job;
}

struct job *
flight_find_job(const struct flight *flight, uint64_t number)
{
	struct job *job;

	LIST_FOREACH(job, &flight->jobs[number % BUCKETS], bucket)
		if (job->number == number)
			return job;
	return NULL;
}

/* FNV-1a */
static uint32_t
hash_of(const char *text)
{
	uint32_t hash = 2166136261u;

	while (*text != '\0')
		hash = (hash ^ (uint8_t)*text++) * 16777619u;
	return hash;
}

void
flight_add_to(struct job *job, const struct recipient *recipient)
{
	if (job->n == JOB_RECIPIENTS_MAX)
		return;
	job->to[job->n].number = recipient->number;
	job->to[job->n].hash = hash_of(recipient->address);
	job->to[job->n].done = false;
	job->n++;
	job->left++;
}

/*
 * By hash: two addresses of one job with the same are mistaken for each other
 * only in which of them is still in flight, never in what is owed.
 */
int
flight_place(const struct job *job, const char *address)
{
	uint32_t hash = hash_of(address);

	for (uint32_t i = 0; i < job->n; i++)
		if (job->to[i].hash == hash && !job->to[i].done)
			return (int)i;
	return -1;
}

void
flight_done(struct flight *flight, struct job *job, int place)
{
	job->to[place].done = true;
	if (--job->left == 0)
		free_job(flight, job);
}

void
flight_drop(struct flight *flight, struct job *job)
{
	free_job(flight, job);
}

static void
look_from_the_beginning(struct active *active)
{
	active->scan = (struct due){ .destination = active->number };
	active->scanned = false;
	active->window_n = 0;
}

void
flight_return(struct flight *flight, struct job *job)
{
	/* They stand before the scan. */
	look_from_the_beginning(job->active);
	free_job(flight, job);
}

unsigned
flight_jobs(const struct flight *flight)
{
	return flight->jobs_n;
}

static bool
job_has(const struct job *job, uint64_t id, uint32_t number)
{
	if (job->message.id != id)
		return false;
	for (uint32_t i = 0; i < job->n; i++)
		if (job->to[i].number == number && !job->to[i].done)
			return true;
	return false;
}

static bool
active_has(const struct active *active, uint64_t id, uint32_t number)
{
	const struct job *job;

	LIST_FOREACH(job, &active->jobs, of_active)
		if (job_has(job, id, number))
			return true;
	return false;
}

bool
flight_has(const struct flight *flight, uint64_t destination, uint64_t id,
    uint32_t number)
{
	const struct active *active = flight_find(flight, destination);

	return active != NULL && active_has(active, id, number);
}

/* ---- what is next ---- */

static void
fill_window(struct active *active, struct spool *spool, uint64_t now_ms)
{
	struct due place;

	active->window_first = active->window_n = 0;
	while (active->window_n < WINDOW_PLACES && spool_next_due(spool,
	    &active->scan, active->scanned, &place) &&
	    place.due_ms <= now_ms) {
		active->scan = place;
		active->scanned = true;
		if (!active_has(active, place.id, place.number))
			active->window[active->window_n++] = place;
	}
}

const struct due *
flight_peek(struct active *active, struct spool *spool, uint64_t now_ms)
{
	if (active->held_until_ms > now_ms)
		return NULL;
	if (active->window_n == 0)
		fill_window(active, spool, now_ms);
	if (active->window_n == 0 && active->scanned) {
		/* Mail of the scan's own millisecond may stand before it. */
		look_from_the_beginning(active);
		fill_window(active, spool, now_ms);
	}
	return active->window_n == 0 ? NULL :
	    &active->window[active->window_first];
}

void
flight_pop(struct active *active)
{
	active->window_first++;
	active->window_n--;
}

uint32_t
flight_waiting(const struct active *active)
{
	const struct due *place = &active->window[active->window_first];
	uint32_t n = 0;

	for (unsigned i = 0; i < active->window_n; i++)
		if (i == 0 || place[i].id != place[i - 1].id)
			n++;
	return n;
}
