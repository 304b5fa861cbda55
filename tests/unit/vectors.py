#!/usr/bin/python3
"""tests/vectors put to the real `culverctl check`, as anybody could put them
to his own program, and what `check verdict` says to wrong words.  TAP.

    BUILD=build/san tests/unit/vectors.py
"""
import concurrent.futures
import itertools
import json
import math
import os
import pathlib
import random
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CTL = ROOT / os.environ.get("BUILD", "build/san") / "bin/culverctl"
VECTORS = ROOT / "tests/vectors"
SEED = 8461
QUIET = {"ASAN_OPTIONS": "detect_leaks=0", **os.environ}

# What a fact may be where a row does not name it.
FACTS = {
    "class": ["mail", "requiretls", "tls-optional", "report"],
    "mode": ["absent", "none", "testing", "enforce"],
    "policy-unknown": ["no", "yes"],
    "resolver": ["judged", "unjudged"],
    "mx": ["match", "mismatch"],
    "mx-secure": ["no", "yes"],
    "name": ["mx", "given"],
    "dane": ["none", "insecure", "unusable", "failed", "usable", "no-match",
             "not-trusted", "expired", "host-mismatch", "other"],
    "starttls": ["no", "refused", "broken", "yes"],
    "cert": ["valid", "not-trusted", "expired", "host-mismatch", "other"],
    "requiretls": ["offered", "absent"],
}


def run(*words, data=""):
    return subprocess.run([CTL, *words], input=data.encode(),
                          capture_output=True, timeout=120, env=QUIET)


def check(*words, data=""):
    """Status and object of one `culverctl --json check ...`."""
    done = run("--json", "check", *words, data=data)
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, {"error": done.stderr.decode()}


def compare(name, got, status, wanted):
    """Wrong, as a list of lines: keys of the answer that are not as wanted,
    or another exit status."""
    found, answer = got
    wrong = {key: answer.get(key) for key, value in wanted.items()
             if answer.get(key) != value}
    if found == status and not wrong:
        return []
    return [f"{name}: status {found}, {answer}; wanted {status}, {wanted}"]


def record(case):
    lines = "".join("".join(strings) + "\n" for strings in case["records"])
    wanted = {"valid": case["valid"]}
    if case["valid"]:
        wanted["id"] = case["id"]
    return compare(case["why"], check("sts-record", data=lines),
                   0 if case["valid"] else 1, wanted)


def policy(case):
    wanted = {key: case[key] for key in ("valid", "mode", "max_age", "mx")
              if key in case}
    return compare(case["why"], check("sts-policy", data=case["body"]),
                   0 if case["valid"] else 1, wanted)


def match(case):
    return compare(case["why"],
                   check("mx-match", case["host"], case["pattern"]),
                   0 if case["match"] else 1, {"match": case["match"]})


def examples(row, chance):
    """Its first combination, and one by chance."""
    sets = {fact: row["facts"].get(fact, values)
            for fact, values in FACTS.items()}
    yield {fact: values[0] for fact, values in sets.items()}
    yield {fact: chance.choice(values) for fact, values in sets.items()}


def decision(case):
    facts, row = case
    words = [f"{fact}={value}" for fact, value in facts.items()]
    wanted = {key: row[key] for key in ("verdict", "result", "enhanced",
                                        "clause", "clear")}
    wanted["requirement"] = row["requirement"] or "none"
    wanted["counted"] = {key: row[key] for key in
                         ("sts", "tlsa", "no-policy-found")
                         if row[key] != "none"}
    return compare(" ".join(words), check("verdict", *words),
                   0 if row["verdict"] == "send" else 1, wanted)


def decisions():
    chance = random.Random(SEED)
    rows = json.loads((VECTORS / "decisions.json").read_text())
    return [(facts, row) for row in rows for facts in examples(row, chance)]


def row_of_each():
    """Combinations and their rows' numbers."""
    rows = json.loads((VECTORS / "decisions.json").read_text())
    seen = {}
    for number, row in enumerate(rows):
        sets = [row["facts"].get(fact, values)
                for fact, values in FACTS.items()]
        for values in itertools.product(*sets):
            seen.setdefault(values, []).append(number)
    return rows, seen


def covered():
    """Each combination has exactly one row."""
    seen = row_of_each()[1]
    possible = math.prod(len(values) for values in FACTS.values())
    wrong = [f"{values}: rows {numbers}" for values, numbers in seen.items()
             if len(numbers) > 1][:10]
    if len(seen) != possible:
        wrong.append(f"{possible - len(seen)} of {possible} have no row")
    return wrong


def meant(facts, requirement):
    """The facts with those that cannot be, or mean nothing, as if they were
    not named: tests/vectors/README.md lists them."""
    meant = dict(facts)
    if requirement == "":
        meant["starttls"] = "yes"
    if meant["starttls"] != "yes" or requirement == "":
        meant["cert"], meant["requiretls"] = "valid", "offered"
        if facts["dane"] not in ("none", "insecure", "unusable", "failed"):
            meant["dane"] = "usable"
    if facts["mode"] != "absent":
        meant["policy-unknown"] = "no"
    if facts["mode"] in ("absent", "none"):
        meant["mx"] = "match"
    if facts["mx-secure"] == "yes":
        meant["resolver"] = "judged"
    return meant


def meaningless():
    """What cannot be does not make another verdict."""
    rows, seen = row_of_each()
    said = [{key: value for key, value in row.items() if key != "facts"}
            for row in rows]
    wrong = []
    for values, (number, *_) in seen.items():
        facts = dict(zip(FACTS, values))
        other = seen[tuple(meant(facts,
                                 rows[number]["requirement"]).values())][0]
        if said[number] != said[other]:
            wrong.append(f"{facts}: {said[number]}, not {said[other]}")
    return wrong


def every_why():
    """Each case of the files that have it says what it is about."""
    wrong = []
    for name in ("sts-records", "sts-policies", "mx-matches", "tlsa-records",
                 "policy-fetches"):
        cases = json.loads((VECTORS / f"{name}.json").read_text())
        cases = cases["answers"] if isinstance(cases, dict) else cases
        wrong += [f"{name}: {case}" for case in cases if not case.get("why")]
    return wrong


def wrong_words():
    wrong = []
    for words in (["x=y"], ["mode"], ["mode=x"], ["cert=no-match"],
                  ["mode=enforce", "mx="], ["mode=enforce", "mode=none"],
                  ["mode=enforce", "mx=match", "mode=enforce"]):
        done = run("check", "verdict", *words)
        told = done.stderr.decode()
        if done.returncode != 64 or done.stdout or \
                "mode=absent|none|testing|enforce" not in told or \
                words[-1] not in told:
            wrong.append(f"{words}: {done.returncode} {told}")
    return wrong


def for_people():
    done = run("check", "verdict", "mode=enforce", "cert=expired")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    if done.returncode == 1 and ["verdict", "defer"] in lines and \
            ["clause", "RFC", "8461", "5"] in lines:
        return []
    return [f"{done.returncode} {done.stdout.decode()}"]


def main():
    failed = 0

    def all_of(function, cases):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return [line for lines in pool.map(function, cases)
                    for line in lines]

    def load(name):
        return json.loads((VECTORS / name).read_text())

    tests = [
        ("T18 sts-records.json by check sts-record",
         lambda: all_of(record, load("sts-records.json"))),
        ("T10, T12, T13, T14 sts-policies.json by check sts-policy",
         lambda: all_of(policy, load("sts-policies.json"))),
        ("T16, T17 mx-matches.json by check mx-match",
         lambda: all_of(match, load("mx-matches.json"))),
        ("each case says what it is about", every_why),
        ("decisions.json has one row for each combination", covered),
        ("decisions.json: what cannot be changes nothing", meaningless),
        ("T22, T23, T24, T27, T28, T52 decisions.json by check verdict",
         lambda: all_of(decision, decisions())),
        ("check verdict lists what it knows", wrong_words),
        ("check verdict for people", for_people),
    ]
    for number, (name, test) in enumerate(tests, 1):
        wrong = test()
        failed += bool(wrong)
        print(f"{'not ' if wrong else ''}ok {number} - {name}", flush=True)
        for line in wrong[:20]:
            print("# " + line.replace("\n", "\n# "))
    print(f"1..{len(tests)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
