#!/usr/bin/python3
"""Which requirements of tests/conformance.tsv have code and a test?

make conformance     lists what is owed and prints covered/total per prefix
conformance.py --check   TAP for make check: unknown ids are failures, and so
                     is a prefix that falls below its line in
                     tests/conformance.floor or owes a row while listed there
                     as complete; and so is a trap, a fault that other
                     senders had, of which no test bears the number

A test citation counts only where the TAP line that names the id was ok in the
last run (build/tap), or, before any run, where a test names it.
"""
import csv
import pathlib
import re
import sys

TRAPS = range(1, 53)
ROOT = pathlib.Path(__file__).resolve().parent.parent
CODE = 'smtpd queue delivery policy reports conf'.split()
ID = re.compile(r'\b(?:STS|RPT|DANE|RTLS|TLS|SMTP|MSG|SUB|EXT|DSN|DKIM)'
                r'-[0-9A-Z][\w.]*(?:-[0-9A-Z][\w.]*)?-\d+\b')


def rows():
    with open(ROOT / 'tests/conformance.tsv', encoding='utf-8') as table:
        reader = csv.DictReader(table, delimiter='\t', quoting=csv.QUOTE_NONE)
        return {row['id']: row for row in reader}


def cited(paths):
    found = {}
    for path in paths:
        for name in ID.findall(path.read_text(errors='replace')):
            found.setdefault(name, set()).add(path)
    return found


def in_code():
    return cited(path for folder in CODE
                 for path in (ROOT / folder).rglob('*.[ch]'))


def in_tests():
    ends = {'.c', '.h', '.py', '.scn', '.sh', '.json'}
    return cited(path for path in (ROOT / 'tests').rglob('*')
                 if path.suffix in ends and path.name != 'conformance.py')


def untested_traps():
    """Numbers of traps that no test names (T31, say)."""
    named = set()
    for path in (ROOT / 'tests').rglob('*'):
        if path.suffix in ('.c', '.py', '.scn') and path.is_file():
            named |= set(re.findall(r'\bT(\d+)\b',
                                    path.read_text(errors='replace')))
    return [f'T{trap}' for trap in TRAPS if str(trap) not in named]


def passed():
    """Ids on TAP lines that were ok and not skipped; None before a run."""
    taps = list((ROOT / 'build/tap').glob('*.tap'))
    if not taps:
        return None
    return {name for tap in taps
            for line in tap.read_text(errors='replace').splitlines()
            if line.startswith('ok ') and '# SKIP' not in line.upper()
            for name in ID.findall(line)}


def lines(name):
    path = ROOT / 'tests' / name
    if not path.exists():
        return []
    return [line.split() for line in path.read_text().splitlines()
            if line.strip() and not line.startswith('#')]


def measure(table, code, tests, ok):
    owed, tally = [], {}
    waived = {words[0] for words in lines('conformance.waived')}
    for name, row in table.items():
        if row['applies'] != 'yes':
            continue
        level = row['level']
        tested = name in tests if ok is None else name in ok
        done = tested and (name in code or level.endswith('NOT'))
        count = tally.setdefault(name.split('-')[0], [0, 0])
        count[0] += done
        count[1] += 1
        binding = level.startswith('MUST') or (
            level.startswith('SHOULD') and name not in waived)
        if binding and not done:
            lacks = 'code' if tested else 'test'
            owed.append((name, f"{name} {level} ({row['folder']}) lacks "
                               f"{lacks}: {row['requirement']}"))
    return owed, tally


def check(table, code, tests, owed, tally):
    results = []
    for name in sorted(set(code) | set(tests)):
        if name not in table:
            where = sorted(map(str, code.get(name, set())
                               | tests.get(name, set())))[0]
            results.append((False, f'{name} is no requirement: {where}'))
    results.append((True, f'{len(set(code) | set(tests))} ids are cited'))
    traps = untested_traps()
    results.append((not traps, f'every trap has a test; none: {traps}'))
    for prefix, floor in ((w[0], w[1]) for w in lines('conformance.floor')):
        if floor == 'complete':
            left = [n for n, _ in owed if n.startswith(prefix + '-')]
            results.append((not left, f'{prefix} complete, owed: {left}'))
        else:
            have = tally.get(prefix, [0, 0])[0]
            results.append((have >= int(floor),
                            f'{prefix} covers {have}, floor {floor}'))
    for number, (good, text) in enumerate(results, 1):
        # No ids here: this line is no test of the requirement it names.
        print(f"{'ok' if good else 'not ok'} {number} - {text}")
    print(f'1..{len(results)}')
    return all(good for good, _ in results)


def main():
    table, code, tests = rows(), in_code(), in_tests()
    checking = '--check' in sys.argv[1:]
    owed, tally = measure(table, code, tests, None if checking else passed())
    if checking:
        sys.exit(0 if check(table, code, tests, owed, tally) else 1)
    for name, paths in sorted(code.items()):
        if name not in table:
            print(f'unknown id {name} in {sorted(paths)[0]}')
            continue
        for path in sorted(paths):
            folder = path.relative_to(ROOT).parts[0]
            if folder != table[name]['folder']:
                print(f'warning: {name} cited in {path.relative_to(ROOT)}, '
                      f"table says {table[name]['folder']}")
    for _, text in owed:
        print(text)
    for prefix, (have, total) in tally.items():
        print(f'# {prefix} {have}/{total}')


main()
