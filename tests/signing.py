#!/usr/bin/python3
"""Do others verify what culver-sign signs?  TAP; run from the top folder:

	/usr/bin/python3 tests/signing.py [BUILD]		BUILD is build if not given

The real program is started as culverd starts it, on a link of its own; keys
are made by `dkim generate`, and what that prints is the zone in which dkimpy
looks.  1,000 random messages (SEED=N in the environment makes other ones) get
a signature of an RSA and of an Ed25519 key each.
"""

import fcntl
import json
import os
import pwd
import random
import re
import resource
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import dkim

BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BUILD', 'build')
PROGRAM = os.path.join(BUILD, 'libexec/culver-sign')
CULVERCTL = os.path.join(BUILD, 'bin/culverctl')
CULVERD = os.path.join(BUILD, 'bin/culverd')
FAULT = os.path.join(BUILD, 'tests/preload/fault.so')
MESSAGES = 1000
# A confined program has no /proc, in which the leak check looks.
os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=0:abort_on_error=1')
DOMAIN = 'relay.example'
PATIENCE_S = 30

# ---- TAP

number = failures = 0


def ok(good, name, why=''):
    global number, failures
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    if not good:
        failures += 1
        print(f'# {why}', flush=True)


# ---- the wire (conf/wire.h), as much of it as is needed here

def kinds(header, first):
    """The numbers of an enum of messages, by name, from its header."""
    text = open(header).read()
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    body = re.search(r'enum \{([^}]*\b%s\b[^}]*)\}' % first, text).group(1)
    numbers, value = {}, -1
    for item in body.split(','):
        name, _, given = (part.strip() for part in item.partition('='))
        if name:
            value = int(given, 0) if given else value + 1
            numbers[name] = value
    return numbers


P = kinds('conf/proc.h', 'P_SETTING')
S = kinds('queue/queue.h', 'S_SIGN')
PROGRAMS = {
    name.strip(): value for value, name in enumerate(
        re.sub(r'/\*.*?\*/', '', re.search(
            r'enum program \{(.*?)\};', open('conf/proc.h').read(),
            re.S).group(1), flags=re.S).split(','))}
QUEUE = PROGRAMS['PROGRAM_QUEUE']


def text(value):
    octets = value.encode() if isinstance(value, str) else value
    return struct.pack('<I', len(octets)) + octets


class Reader:
    def __init__(self, octets):
        self.octets, self.at = octets, 0

    def number(self, form):
        value, = struct.unpack_from('<' + form, self.octets, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        size = self.number('I')
        self.at += size
        return self.octets[self.at - size:self.at]


class Link:
    """One end of a link."""

    def __init__(self):
        self.socket, self.other = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def send(self, kind, octets=b'', fd=None):
        packet = struct.pack('<H', kind) + octets
        if fd is None:
            self.socket.send(packet)
        else:
            socket.send_fds(self.socket, [packet], [fd])

    def receive(self, patience_s=PATIENCE_S):
        """(kind, reader), or None when the other end is gone."""
        if not select.select([self.socket], [], [], patience_s)[0]:
            raise TimeoutError
        try:
            packet = self.socket.recv(65536)
        except ConnectionResetError:
            return None
        if not packet:
            return None
        reader = Reader(packet)
        return reader.number('H'), reader


# ---- the program

def become_nobody():
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam('nobody')
    os.setgroups([])
    os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
    os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)


class Sign:
    """culver-sign, and its parent's end and queue's end of its links."""

    def __init__(self, folder, keys):
        self.parent, self.queue = Link(), Link()
        self.logs, self.alarms, self.needs = [], [], 0
        link = fcntl.fcntl(self.parent.other, fcntl.F_DUPFD, 20)
        # By descriptor: nobody need not reach the build's folder.
        program = fcntl.fcntl(os.open(PROGRAM, os.O_RDONLY), fcntl.F_DUPFD,
                              20)

        def prepare():
            os.dup2(link, 3)
            become_nobody()

        self.process = subprocess.Popen(
            ['culver-sign'], executable=f'/proc/self/fd/{program}',
            pass_fds=(3, program), preexec_fn=prepare, cwd=folder)
        os.close(link)
        os.close(program)
        self.parent.other.close()
        self.settings(keys)
        self.link(self.queue)
        self.parent.send(P['P_GO'])
        self.hear_until(P['P_READY'])

    def settings(self, keys):
        """A full set: keys are (domain, selector, file)."""
        self.parent.send(P['P_SETTINGS'])
        self.parent.send(P['P_SETTING'], text('log-level') + text('debug'))
        for domain, selector, file in keys:
            fd = os.open(file, os.O_RDONLY)
            self.parent.send(P['P_KEY'], text(domain) + text(selector) +
                             text(file), fd)
            os.close(fd)
        self.parent.send(P['P_SETTINGS_END'])

    def link(self, link):
        self.parent.send(P['P_LINK'], struct.pack('<I', QUEUE),
                         link.other.fileno())
        link.other.close()
        self.queue = link

    def hear(self, patience_s=PATIENCE_S):
        heard = self.parent.receive(patience_s)
        if heard is None:
            return None
        kind, reader = heard
        if kind == P['P_LOG']:
            reader.number('I')
            self.logs.append(reader.text().decode())
        elif kind == P['P_ALARM']:
            standing = reader.number('B')
            self.alarms.append((bool(standing), reader.text().decode(),
                                reader.text().decode()))
        elif kind == P['P_NEED']:
            self.needs += reader.number('I') == QUEUE
        return kind

    def hear_until(self, wanted):
        kind = None
        while kind != wanted:
            kind = self.hear()
            if kind is None:
                raise EOFError('culver-sign is gone: ' +
                               ' '.join(self.logs[-3:]))

    def hear_all(self):
        """What is there now."""
        try:
            while self.hear(0) is not None:
                pass
        except TimeoutError:
            pass

    def ask(self, message, domain=DOMAIN, size=None, now=None, cut=None):
        """Send a message to be signed; its number."""
        self.asked = random.getrandbits(64)
        size = len(message) if size is None else size
        now = int(time.time()) if now is None else now
        ends = os.pipe()
        self.queue.send(S['S_SIGN'], struct.pack('<Q', self.asked) +
                        text(domain) + struct.pack('<Qq', size, now), ends[0])
        os.close(ends[0])
        return ends[1]

    def answer(self):
        """(fields, error)"""
        heard = self.queue.receive()
        if heard is None:
            raise EOFError('culver-sign closed its link')
        kind, reader = heard
        assert kind == S['S_HEADER'], kind
        assert reader.number('Q') == self.asked
        done, error, fields = (reader.number('B'), reader.text(),
                               reader.text())
        assert bool(done) == bool(fields) == (not error)
        return fields, error.decode()

    def sign(self, message, domain=DOMAIN, size=None, now=None, pieces=1):
        fd = self.ask(message, domain, size, now)
        step = max(1, len(message) // pieces)
        try:
            for at in range(0, len(message), step):
                os.write(fd, message[at:at + step])
        except BrokenPipeError:
            pass
        os.close(fd)
        return self.answer()


# ---- `ctl`

def ctl(*words, stdin=b''):
    done = subprocess.run([PROGRAM, 'ctl', *words], input=stdin,
                          capture_output=True, timeout=PATIENCE_S)
    return done.returncode, done.stdout, done.stderr.decode()


def generate(selector, file, *options):
    status, out, error = ctl('dkim', 'generate', DOMAIN, selector, '--file',
                             file, *options)
    return status, json.loads(out) if out else None, error


# ---- messages

FIELDS = ['To', 'Cc', 'Reply-To', 'Subject', 'Date', 'Message-ID',
          'In-Reply-To', 'References', 'MIME-Version', 'Content-Type',
          'Content-Transfer-Encoding', 'Auto-Submitted', 'TLS-Required',
          'TLS-Report-Domain', 'TLS-Report-Submitter', 'X-Other', 'Received',
          'DKIM-Signature-Not']
BLANKS = [' ', '\t', '  ', ' \t ', '\t\t']


def any_case(chance, name):
    return chance.choice([name, name.lower(), name.upper()])


def words(chance, most):
    letters = 'abcXYZ0189.,;:=<>@"()\\+-/é'
    return [''.join(chance.choice(letters) for _ in range(
        chance.randint(1, 12))) for _ in range(chance.randint(0, most))]


def field(chance, name):
    value = chance.choice(['', ' ', '\t'])
    for word in words(chance, 12):
        value += word + chance.choice(
            BLANKS + ['\r\n' + blank for blank in BLANKS] + [''])
    # A last line of blanks alone is obsolete, and lost on its way.
    value = re.sub(r'(\r\n[ \t]*)+$', '', value) + chance.choice(
        ['', ' ', '\t '])
    return f'{any_case(chance, name)}:{value}\r\n'


def body(chance):
    lines = []
    for _ in range(chance.choice([0, 1, 3, 20, 300])):
        line = chance.choice(['', '', ' ', '.', '..', ' \t'])
        for word in words(chance, 8):
            line += word + chance.choice(BLANKS + [''])
        lines.append(line + '\r\n')
    return ''.join(lines) + '\r\n' * chance.choice([0, 0, 1, 7])


def any_message(chance):
    names = [chance.choice(FIELDS) for _ in range(chance.randint(0, 24))]
    names += ['From'] * chance.choice([1, 1, 1, 2])
    chance.shuffle(names)
    return (''.join(field(chance, name) for name in names) + '\r\n' +
            body(chance)).encode()


REPORT = b"""From: tls-reports@relay.example\r
To: reports@their.example\r
Subject: Report Domain: their.example Submitter: relay.example\r
 Report-ID: <1@relay.example>\r
Date: Fri, 11 Jul 2003 21:00:37 -0700\r
Message-ID: <1@relay.example>\r
TLS-Report-Domain: their.example\r
TLS-Report-Submitter: relay.example\r
TLS-Required: No\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type="tlsrpt"; boundary="x"\r
Content-Transfer-Encoding: 7bit\r
\r
--x\r
\r
--x--\r
"""

# ---- the independent reader

zone = {}


def look_up(name, timeout=5):
    return zone.get(name.decode().rstrip('.').lower(), '').encode() or None


def verifies(message, index=0):
    try:
        return dkim.DKIM(message).verify(idx=index, dnsfunc=look_up)
    except (dkim.DKIMException, ValueError) as error:
        return f'{type(error).__name__}: {error}'


def split_fields(fields):
    return re.findall(rb'DKIM-Signature:(?:[^\r]|\r\n[ \t])*\r\n', fields)


def tags(signature):
    value = signature.split(b':', 1)[1].replace(b'\r\n', b'')
    return {name.strip().decode(): re.sub(rb'\s', b'', rest).decode()
            for name, _, rest in (part.partition(b'=')
                                  for part in value.split(b';'))}


# ---- tests

def test_generate(folder):
    """Keys rsa and ed, and the zone."""
    files = {}
    for selector, kind, options in (
            ('rsa', 'rsa', []), ('ed', 'ed25519', ['--type', 'ed25519'])):
        files[selector] = f'{folder}/{selector}.pem'
        old = os.umask(0)
        status, said, error = generate(selector, files[selector], *options)
        os.umask(old)
        record = said['record']
        zone[record['name']] = record['value']
        strings = re.findall('"([^"]*)"', record['zone'])
        good = (status == 0 and said['type'] == kind and
                said['bits'] == (2048 if kind == 'rsa' else 256) and
                said['config'] == f'dkim {DOMAIN} {selector} '
                f'{files[selector]}' and
                record['name'] == f'{selector}._domainkey.{DOMAIN}' and
                record['type'] == 'TXT' and
                record['value'].startswith(
                    f'v=DKIM1; k={kind}; s=*; p=') and
                ''.join(strings) == record['value'] and
                max(map(len, strings)) <= 255 and
               ['verify only RSA' in warning for warning in
                said['warnings']] == [True] * (kind == 'ed25519'))
        ok(good, f'RPT-3-15 dkim generate prints the record of a {kind} key',
           f'{said} {error}')
        ok(os.stat(files[selector]).st_mode & 0o7777 == 0o600,
           f'the file of a {kind} key is its owner\'s alone',
           oct(os.stat(files[selector]).st_mode))
    before = open(files['rsa']).read()
    status, said, error = generate('rsa', files['rsa'])
    ok(status == 1 and said is None and 'exists' in error and
       open(files['rsa']).read() == before,
       'dkim generate never overwrites', error)
    status, said, error = generate('rsa', f'{folder}/no/such.pem')
    ok(status == 1 and said is None and
       not os.path.exists(f'{folder}/no'),
       'dkim generate makes no folder', error)
    wrong = [['--bits', '512'], ['--bits', '1023'], ['--bits', '4097'],
             ['--bits', 'x'], ['--type', 'dsa'], ['--type'],
             ['--type', 'ed25519', '--bits', '2048'], ['more']]
    statuses = [generate('x', f'{folder}/x.pem', *words)[0]
                for words in wrong]
    ok(set(statuses) == {64} and not os.path.exists(f'{folder}/x.pem'),
       'DKIM-8301-3.2-1 dkim generate refuses sizes that verifiers refuse',
       f'{statuses}')
    status, said, error = generate('small', f'{folder}/small.pem', '--bits',
                                   '1024')
    ok(status == 0 and said['bits'] == 1024 and
       ['2048' in warning for warning in said['warnings']] == [True],
       'DKIM-8301-3.2-1 dkim generate --bits 1024 is warned of at once',
       f'{said} {error}')
    return files


def test_key(folder, files):
    for file, wanted in ((files['rsa'], {'type': 'rsa', 'bits': 2048}),
                         (files['ed'], {'type': 'ed25519', 'bits': 256})):
        status, out, error = ctl('key', stdin=open(file, 'rb').read())
        ok(status == 0 and json.loads(out) == wanted,
           f"key tells {wanted['type']}", f'{out} {error}')
    small = subprocess.run(['openssl', 'genrsa', '-traditional', '512'],
                           capture_output=True).stdout
    open(f'{folder}/512.pem', 'wb').write(small)
    status, out, error = ctl('key', stdin=small)
    ok(status == 1 and not out and '1024' in error and
       error.count('\n') == 1,
       'DKIM-8301-3.2-1 key refuses an RSA key of 512 bits', error)


def check(selector, file, **line):
    line = {'name': f'{selector}._domainkey.{DOMAIN}', 'text': '',
            'records': [], **line}
    status, out, error = ctl('dkim', 'check', DOMAIN, selector, '--file',
                             file, stdin=json.dumps(line).encode() + b'\n')
    said = json.loads(out)
    return status, said['verdict'], len(said['warnings']), said['text']


def test_check(folder, files):
    rsa = zone[f'rsa._domainkey.{DOMAIN}']
    small = ctl('dkim', 'generate', DOMAIN, 's', '--file',
                f'{folder}/s.pem', '--bits', '1024')[1]
    small = json.loads(small)['record']['value']
    rows = [
        ('rsa', {'outcome': 'ok', 'records': [rsa]}, (0, 'fits', 0)),
        ('rsa', {'outcome': 'ok', 'records': [
            rsa.replace('*', 'email')]}, (0, 'fits', 1)),
        ('rsa', {'outcome': 'ok', 'records': [
            rsa.replace('*', 'tlsrpt')]}, (0, 'fits', 0)),
        ('rsa', {'outcome': 'ok', 'records': [
            rsa.replace('s=*', 't=y')]}, (0, 'fits', 1)),
        ('rsa', {'outcome': 'ok', 'records': [small]}, (1, 'another-key', 0)),
        ('s', {'outcome': 'ok', 'records': [small]}, (0, 'fits', 1)),
        ('rsa', {'outcome': 'ok', 'records': [rsa, 'v=spf1 -all']},
         (1, 'unusable', 0)),
        ('rsa', {'outcome': 'ok', 'records': ['v=DKIM1; p=']},
         (1, 'unusable', 0)),
        ('rsa', {'outcome': 'ok', 'records': [
            rsa.replace('s=*', 'h=sha1')]}, (1, 'unusable', 0)),
        ('rsa', {'outcome': 'ok', 'records': [
            rsa.replace('s=*', 'h=sha1:sha256')]}, (0, 'fits', 0)),
        ('rsa', {'outcome': 'ok', 'records': ['\xff']}, (1, 'unusable', 0)),
        ('rsa', {'outcome': 'none'}, (1, 'absent', 0)),
        ('rsa', {'outcome': 'again', 'text': 'SERVFAIL'},
         (75, 'unknown', 0)),
    ]
    wrong = []
    for selector, line, wanted in rows:
        said = check(selector, f'{folder}/{selector}.pem', **line)
        if said[:3] != wanted:
            wrong.append(f'{line}: {said}')
    ok(not wrong, 'DKIM-6376-3.6.1-1, RPT-3-15 dkim check: five verdicts',
       ' '.join(wrong))
    status, out, error = ctl('dkim', 'check', DOMAIN, 'rsa', '--file',
                             files['rsa'], stdin=b'nonsense')
    ok(status == 75 and json.loads(out)['verdict'] == 'unknown',
       'dkim check without an answer of policy cannot tell',
       f'{status} {out}')


def test_ctl_sign(files):
    for selector in ('rsa', 'ed'):
        message = REPORT.replace(b'\r\n', b'\n')
        status, field_, error = ctl('dkim', 'sign', DOMAIN, selector,
                                    '--file', files[selector],
                                    stdin=message)
        said = verifies(field_ + REPORT)
        ok(status == 0 and said is True,
           f'DKIM-6376-5.3-1 dkim sign ({selector}): signed as it is sent, '
           'with CRLF', f'{said} {error}')


class Resolver:
    """A DNS server with one zone of TXT records; what is not there is not."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', 0))
        self.port, self.records = self.socket.getsockname()[1], {}
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            labels, at = [], 12
            while question[at] != 0:
                labels.append(question[at + 1:at + 1 + question[at]])
                at += 1 + question[at]
            value = self.records.get(b'.'.join(labels).decode().lower())
            strings = [value[n:n + 255].encode()
                       for n in range(0, len(value or ''), 255)]
            octets = b''.join(bytes([len(one)]) + one for one in strings)
            answer = b'' if value is None else struct.pack(
                '>HHHIH', 0xc00c, 16, 1, 60, len(octets)) + octets
            self.socket.sendto(question[:2] + struct.pack(
                '>HHHHH', 0x8180 | 3 * (value is None), 1, value is not None,
                0, 0) + question[12:at + 5] + answer, peer)


def culverctl(folder, *words, **options):
    """(status, output, error) of a verb of dkim, as an operator sees it."""
    options = {'stdout': subprocess.PIPE, **options}
    done = subprocess.run(
        [CULVERCTL, '-c', f'{folder}/culver.conf', *words],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        timeout=PATIENCE_S, **options)
    return (done.returncode, (done.stdout or b'').decode(),
            done.stderr.decode('utf-8', 'surrogateescape'))


def test_full(folder):
    """A record that was not printed is known to be lost, and comes again."""
    file = f'{folder}/full disk.key'
    words = ['dkim', 'generate', DOMAIN, 'full']
    wrong = []
    with open('/dev/full', 'w') as full:
        for verb in (['dkim', 'generate', DOMAIN, 'full', '--file', file],
                     ['--json', 'dkim', 'generate', DOMAIN, 'full2',
                      '--file', f'{file}2'],
                     ['config'], ['--json', 'config', 'workers'], ['-h'],
                     ['-V']):
            status, _, error = culverctl(folder, *verb, stdout=full)
            if status != 75 or 'culverctl: standard output' not in error:
                wrong.append(f'{verb}: {status} {error}')
        # the program itself
        done = subprocess.run(
            [PROGRAM, 'ctl', 'dkim', 'sign', DOMAIN, 's', '--file', file],
            input=REPORT, stdout=full, stderr=subprocess.PIPE)
        if done.returncode != 75 or b'standard output' not in done.stderr:
            wrong.append(f'{done}')
    ok(not wrong, 'what standard output did not take is no success',
       f'{wrong}')
    status, out, error = culverctl(folder, *words, '--file', file)
    how = re.search(r"culverctl (dkim check \S+ \S+ --file )'(.*?)'", error)
    ok(status == 1 and not out and 'exists' in error and how is not None and
       how.group(2) == file, 'dkim generate says how the record of a key '
       'that exists is to be had', error)
    found = culverctl(folder, *how.group(1).split(), file)
    status, out, error = culverctl(folder, '--json', *how.group(1).split(),
                                   file)
    said = json.loads(out)
    record = said['record']
    ok(found[0] == status == 1 and said['verdict'] == 'absent' and
       record['name'] == f'full._domainkey.{DOMAIN}' and
       record['type'] == 'TXT' and record['zone'] in found[1] and
       record['zone'].startswith(f'{record["name"]}. IN TXT ('),
       'dkim check prints the record of a key that is not published',
       f'{found} {said} {error}')
    return record


def test_published(folder, resolver, record):
    words = ['dkim', 'check', DOMAIN.upper() + '.', 'FULL', '--file',
             f'{folder}/full disk.key']
    rows = [(record['value'], 0, 'fits', False),
            (zone[f'rsa._domainkey.{DOMAIN}'], 1, 'another-key', True),
            (record['value'].replace('s=*', 'h=sha1'), 1, 'unusable', True)]
    for value, wanted, verdict, printed in rows:
        resolver.records[record['name']] = value
        status, out, error = culverctl(folder, '--json', *words)
        said = json.loads(out)
        text = culverctl(folder, *words)[1]
        ok(status == wanted and said['verdict'] == verdict and
           said.get('record') == (record if printed else None) and
           (record['zone'] in text) == printed,
           f'dkim check, any case and a final dot: {verdict}',
           f'{status} {out} {error} {text}')


def test_files(folder):
    """What culverd would not take."""
    os.mkfifo(f'{folder}/fifo')
    wrong = []
    for name in ('fifo', '.'):
        status, out, error = culverctl(folder, 'dkim', 'check', DOMAIN, 'x',
                                       '--file', f'{folder}/{name}')
        if status != 65 or out or 'is not a file' not in error:
            wrong.append(f'{name}: {status} {out} {error}')
    ok(not wrong, 'dkim check waits for no pipe', f'{wrong}')
    open_key = f'{folder}/open.key'
    shutil.copy(f'{folder}/rsa.pem', open_key)
    os.chmod(open_key, 0o640)
    line = {'outcome': 'ok', 'records': [zone[f'rsa._domainkey.{DOMAIN}']]}
    ok(check('rsa', open_key, **line)[:3] == (0, 'fits', 1),
       'dkim check warns of a key file that others may read')
    os.chmod(open_key, 0o600)
    if os.geteuid() == 0:
        os.chown(open_key, 4711, 4711)
        ok(check('rsa', open_key, **line)[:3] == (0, 'fits', 1),
           'dkim check warns of a key file that belongs to others')


def test_names(folder):
    """One key, however its names are written."""
    config = f'{folder}/named'
    os.mkdir(config)
    open(f'{config}/culver.conf', 'w').close()
    first = culverctl(config, 'dkim', 'generate', 'Example.ORG.', 'TLS')
    again = culverctl(config, 'dkim', 'generate', 'example.org', 'tls')
    ok(first[0] == 0 and 'tls._domainkey.example.org. IN TXT' in first[1] and
       sorted(os.listdir(config)) == ['culver.conf', 'example.org.tls.key']
       and again[0] == 1 and 'exists' in again[2],
       'a domain in any case, with a final dot or not, has one key file',
       f'{first} {again} {os.listdir(config)}')
    said = {culverctl(config, 'dkim', verb, 'exämple.org', 'tls', *more)[::2]
            for verb in ('generate', 'check')
            for more in ([], ['--file', f'{config}/u.key'])}
    ok(len(said) == 1 and next(iter(said))[0] == 64 and
       'write its xn-- form' in next(iter(said))[1] and
       len(os.listdir(config)) == 2,
       'letters beyond ASCII: both verbs say what to write', f'{said}')
    said = culverctl(config, 'dkim', 'generate', 'example.org', 'a_b')
    ok(said[0] == 64 and said[2].startswith('culverctl: "a_b" is no selector'),
       'a selector that is none', f'{said}')


def take_line(folder, line):
    """Does culverd take this line?"""
    open(f'{folder}/line.conf', 'w').write(line + '\n')
    done = subprocess.run([CULVERD, '-n', '-c', f'{folder}/line.conf'],
                          capture_output=True, text=True)
    return '' if done.returncode == 0 and line in done.stdout else \
        f'{line}: {done}'


def test_paths(folder):
    """Only what a line can name is made, and culverd takes each line."""
    deep = folder + '/deep'
    os.mkdir(deep)
    wrong = []
    for name in ('plain', 'a b', 'a"b', 'a\\b', '#a', ' ', "it's", 'é€',
                 'x' * (255 - len(deep) - 1)):
        status, out, error = culverctl(
            folder, 'dkim', 'generate', DOMAIN, 's', '--type', 'ed25519',
            '--file', f'{deep}/{name}')
        line = ''.join(one for one in out.split('\n')
                       if one.startswith('dkim '))
        wrong += [f'{name}: {status} {error}'] if status != 0 else \
            filter(None, [take_line(folder, line)])
    ok(not wrong, 'culverd takes the line that dkim generate prints, '
       'whatever the path', f'{wrong}')
    before = sorted(os.listdir(deep))
    wrong = []
    for name, reason in (
            ('x' * (256 - len(deep) - 1), '256 octets'),
            ('y' * 250, 'octets, and a dkim line takes 255'),
            ('a\nb', 'control character'), ('a\tb', 'control character'),
            ('a\x7fb', 'control character'), ('a\x9bb', 'control character'),
            (b'a\xe9b', 'not UTF-8')):
        name = os.fsdecode(name)
        status, out, error = culverctl(
            folder, 'dkim', 'generate', DOMAIN, 's', '--file',
            f'{deep}/{name}')
        if status != 1 or out or reason not in error or \
                error.count('\n') != 1 or len(error) > 400:
            wrong.append(f'{name!a}: {status} {error}')
    ok(not wrong and sorted(os.listdir(deep)) == before,
       'a path that no line can name is refused, and no key is made',
       f'{wrong}')
    status, out, error = culverctl(folder, 'dkim', 'generate', DOMAIN, 's',
                                   '--file', f'{deep}/none/s.key')
    ok(status == 1 and error.startswith('culverctl: ') and
       f'the folder {deep}/none ' in error and 's.key' not in error,
       'a folder that is missing is named', error)
    # From the folder that one is in, as from any other.
    status, out, error = culverctl(
        os.path.abspath(folder), 'dkim', 'generate', DOMAIN, 's', '--file',
        'here.key', cwd=deep, executable=os.path.abspath(CULVERCTL))
    ok(status == 0 and f'dkim {DOMAIN} s {deep}/here.key' in out,
       'a path from here becomes a whole one', f'{out} {error}')


def test_no_room(folder):
    """A file that cannot be written whole is not there afterwards."""
    empty = f'{folder}/no-room'
    os.mkdir(empty)
    command = [PROGRAM, 'ctl', 'dkim', 'generate', DOMAIN, 's', '--file',
               f'{empty}/s.key']
    done = subprocess.run(
        command, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    ok(done.returncode == 1 and 'File too large' in done.stderr and
       not os.listdir(empty), 'ulimit -f 0 leaves no key file', f'{done}')
    if not os.path.exists(FAULT):
        return
    for call, name in ((1, 'write'), (2, 'fsync')):
        page = f'{folder}/fault'
        with open(page, 'wb') as file:
            file.write(struct.pack('<32sIIQQQQI', b'culver-sign', call, 28, 1,
                                   9, 0, 0, 0).ljust(4096, b'\0'))
        done = subprocess.run(
            command, capture_output=True, text=True,
            env={**os.environ, 'CULVER_FAULT': page, 'LD_PRELOAD': FAULT})
        ok(done.returncode == 1 and 'No space left' in done.stderr and
           not os.listdir(empty), f'a full disk ({name}) leaves no key file',
           f'{done}')


def test_words(folder):
    """What was typed is shown short and harmless, in culverctl's name."""
    long = 'x' * 5000
    wrong = []
    for words in (
            [long, 's'], ['\x1b[2Jé\n', 's'], [DOMAIN, long],
            [DOMAIN, '\x1b\x9b'], [DOMAIN, 's', long],
            [DOMAIN, 's', '--' + long, 'x'], [DOMAIN, 's', '--\n', 'x'],
            [DOMAIN, 's', '--type', long], [DOMAIN, 's', '--bits', long],
            [DOMAIN, 's', '--file', f'/{long}/\x1b\n'],
            [DOMAIN, 's', '--file', f'/no/{long[:4000]}'],
            [DOMAIN, 's', '--file', '/no\n/\x1b'], [DOMAIN, 's', '--file'],
            [DOMAIN, 's', '--file', '']):
        for verb in ('generate', 'check'):
            status, out, error = culverctl(folder, 'dkim', verb, *words)
            usage = f'usage: culverctl dkim {verb} DOMAIN'
            error, _, more = error.partition('\n')
            if status == 0 or out or not error.startswith('culverctl: ') or \
                    more and not more.startswith(usage) or \
                    more.count('\n') > 1 or len(error) > 300 or \
                    re.search('x{201}|[\x00-\x1f\x7f-\x9f]', error):
                wrong.append(f'{verb} {words!a:.60}: {status} {error!a:.999}')
    ok(not wrong, 'errors show at most 200 octets of a word, and no control '
       'character', '\n# '.join(wrong))
    status, out, error = culverctl(folder, 'dkim', 'generate', DOMAIN, 'w',
                                   '--bits', '1024', '--file',
                                   f'{folder}/w.key')
    ok(status == 0 and '  warning ' in out and '2048' in out,
       'dkim generate prints its warnings for people', f'{out} {error}')


def test_operator(folder):
    resolver = Resolver()
    with open(f'{folder}/culver.conf', 'w') as config:
        config.write(f'resolver 127.0.0.1:{resolver.port}\n')
    record = test_full(folder)
    test_published(folder, resolver, record)
    test_files(folder)
    test_names(folder)
    test_paths(folder)
    test_no_room(folder)
    test_words(folder)


def wrong_field(signature, now):
    """What is wrong with the looks of a field, or None."""
    said = tags(signature)
    lines = signature.split(b'\r\n')
    if not {'v', 'a', 'b', 'bh', 'd', 'h', 's', 't'} <= set(said):
        return 'a tag is missing'
    if {'l', 'x', 'i', 'z', 'q'} & set(said):
        return 'a tag too many'
    if said['c'] != 'relaxed/relaxed' or said['v'] != '1':
        return 'c= or v='
    if said['t'] != str(now):
        return 't='
    if said['a'] not in ('rsa-sha256', 'ed25519-sha256'):
        return 'a='
    if max(map(len, lines)) > 78 or signature.translate(
            None, bytes(range(32, 127))).strip(b'\r\n'):
        return 'lines'
    return None


def test_random(sign):
    chance = random.Random(int(os.environ.get('SEED', '1')))
    wrong = {'rsa-sha256': [], 'ed25519-sha256': [], 'looks': [],
             'changed': [], 'from': []}
    now = int(time.time())
    for n in range(MESSAGES):
        message = any_message(chance)
        fields, error = sign.sign(message, now=now,
                                  pieces=chance.choice([1, 2, 9, 100]))
        signatures = split_fields(fields)
        if b''.join(signatures) != fields or len(signatures) != 2 or error:
            wrong['looks'].append(f'{n}: {fields} {error}')
            continue
        for index, signature in enumerate(signatures):
            looks = wrong_field(signature, now)
            if looks is not None:
                wrong['looks'].append(f'{n}: {looks}')
            said = verifies(fields + message, index)
            if said is not True:
                wrong[tags(signature)['a']].append(f'{n}: {said}')
            # The same verifier must see what is changed on the way.
            if n % 20 == index and verifies(
                    fields + message + b'more\r\n', index) is True:
                wrong['changed'].append(f'{n}')
            if n % 20 == index and verifies(
                    fields + b'From: evil@x.example\r\n' + message,
                    index) is True:
                wrong['from'].append(f'{n}')
    for algorithm, names in (('rsa-sha256', 'DKIM-6376-3.3-1'),
                             ('ed25519-sha256', 'DKIM-8463-3-1')):
        ok(not wrong[algorithm], f'{names}, DKIM-6376-3.4.2-1, '
           f'DKIM-6376-3.7-1 dkimpy verifies {algorithm} of {MESSAGES} '
           'random messages', wrong[algorithm][:3])
    ok(not wrong['looks'], 'DKIM-8463-3-2, DKIM-6376-3.5-1, '
       'DKIM-6376-3.5-2, RPT-3-14, DKIM-6376-5.3-1 two fields each, with '
       'their tags, at 78 columns', wrong['looks'][:3])
    ok(not wrong['changed'], 'a line more, and dkimpy refuses it',
       wrong['changed'][:3])
    ok(not wrong['from'], 'DKIM-6376-5.4-1 a From more, and dkimpy refuses '
       'it', wrong['from'][:3])


def test_report(sign):
    fields, error = sign.sign(REPORT)
    signatures = split_fields(fields)
    ok([verifies(fields + REPORT, index) for index in (0, 1)] == [True, True]
       and {tags(one)['d'] for one in signatures} == {DOMAIN},
       'RPT-3-13, DKIM-8463-3-2 a report has two signatures of its domain, '
       'and both verify', error)
    # A reader of reports that wants its service type, and nothing else.
    strict = [dkim.DKIM(fields + REPORT, tlsrpt='strict').verify(
        idx=index, dnsfunc=lambda name, timeout=5: look_up(
            name).replace(b's=*', b's=tlsrpt')) for index in (0, 1)]
    ok(strict == [True, True], 'RPT-3-15 so they do where s=tlsrpt is '
       'demanded', f'{strict}')
    ok({tags(one)['a'] for one in signatures} ==
       {'rsa-sha256', 'ed25519-sha256'},
       'DKIM-8301-3.1-1 no signature is of another kind', f'{fields}')
    word = 'rsa-' + 'sha1'
    folders = ['smtpd', 'queue', 'policy', 'delivery', 'reports', 'conf']
    found = subprocess.run(['grep', '-rli', word, *folders],
                           capture_output=True, text=True).stdout
    ok(not found, 'DKIM-8301-3.1-1 the sources have no word for it', found)
    listed = tags(signatures[0])['h'].lower().split(':')
    wanted = ['to', 'subject', 'date', 'message-id', 'mime-version',
              'content-type', 'content-transfer-encoding',
              'tls-report-domain', 'tls-report-submitter']
    ok(set(wanted) <= set(listed) and listed.count('from') == 2,
       'DKIM-6376-5.4.1-1, DKIM-6376-5.4-1, DKIM-6376-3.5-3, '
       'RPT-5.3-5 h= of a report',
       f'{listed}')


def test_sizes(sign):
    big = REPORT + b'x y\t z \r\n' * 200000
    fields, error = sign.sign(big, pieces=10)
    ok(verifies(fields + big) is True, 'a message of 2 MB', error)
    rows = [(REPORT, len(REPORT) + 1, 'shorter'),
            (REPORT, len(REPORT) - 1, 'longer'), (b'', 1, 'shorter'),
            (b'To: x\r\n\r\n', None, 'no From'),
            (b'From: a\r\nX: ' + b'x' * 70000, None, 'longer than 65536')]
    wrong = []
    for message, size, word in rows:
        fields, error = sign.sign(message, size=size)
        if fields or word not in error:
            wrong.append(f'{word}: {error}')
    ok(not wrong, 'what is not whole, or no message, is refused in words',
       f'{wrong}')
    fields, error = sign.sign(REPORT, domain='other.example')
    ok(not fields and 'other.example' in error,
       'RPT-3-16 a domain without a key is refused in words', error)
    fields, error = sign.sign(REPORT, domain='RELAY.example')
    ok(verifies(fields + REPORT) is True, 'domains are without case', error)


def test_links(sign):
    sign.queue.socket.close()
    time.sleep(0.2)
    sign.link(Link())
    fields, error = sign.sign(REPORT)
    ok(verifies(fields + REPORT) is True,
       'queue gone, it waits for a fresh link, which is served', error)
    # While a message is under way: what queue asked for is forgotten.
    fd = sign.ask(REPORT)
    os.write(fd, REPORT[:50])
    sign.link(Link())
    time.sleep(0.2)
    os.close(fd)
    fields, error = sign.sign(REPORT)
    ok(verifies(fields + REPORT) is True,
       'a fresh link replaces an old one, even in a message', error)
    sign.queue.socket.send(b'nonsense')
    gone = sign.queue.receive() is None
    sign.link(Link())
    fields, error = sign.sign(REPORT)
    sign.hear_all()
    ok(gone and verifies(fields + REPORT) is True and sign.needs == 0,
       'nonsense ends a link, and nothing else; queue asks for another',
       error)


def test_keys(sign, folder, files):
    broken = f'{folder}/broken.pem'
    open(broken, 'w').write('nothing\n')
    sign.alarms.clear()
    sign.logs.clear()
    sign.settings([(DOMAIN, 'gone', broken),
                   (DOMAIN, 'weak', f'{folder}/512.pem'),
                   (DOMAIN, 'ed', files['ed'])])
    fields, error = sign.sign(REPORT)
    sign.hear_all()
    ok(len(split_fields(fields)) == 1 and verifies(fields + REPORT) is True,
       'keys that cannot be used hinder no other', error)
    ok([alarm[0] for alarm in sign.alarms] == [True, True] and
       broken in sign.alarms[0][2] and '512.pem' in sign.alarms[1][2] and
       sum('alarm' in line and broken in line for line in sign.logs) == 1,
       'DKIM-8301-3.2-1 each is an alarm that names its file',
       f'{sign.alarms} {sign.logs}')
    sign.alarms.clear()
    sign.settings([(DOMAIN, 'weak', f'{folder}/512.pem')])
    fields, error = sign.sign(REPORT)
    sign.hear_all()
    ok(not fields and DOMAIN in error,
       'RPT-3-16 with no key left nothing is signed', error)
    ok([(alarm[0], 'weak' in alarm[1]) for alarm in sign.alarms] ==
       [(True, True), (False, False)], 'an alarm ends when its key is gone',
       f'{sign.alarms}')
    sign.settings([(DOMAIN, 'rsa', files['rsa']),
                   ('other.example', 'ed', files['ed'])])
    fields, error = sign.sign(REPORT)
    ok(len(split_fields(fields)) == 1 and
       tags(split_fields(fields)[0])['s'] == 'rsa' and
       verifies(fields + REPORT) is True,
       'keys are replaced with the settings', error)


def test_end(sign, folder, files):
    fd = sign.ask(REPORT)
    os.write(fd, REPORT[:10])
    sign.parent.send(P['P_STOP'])
    ok(sign.process.wait(PATIENCE_S) == 0, 'told to stop it ends at once, '
       'even in a message', f'{sign.process.returncode}')
    os.close(fd)
    other = Sign(folder, [(DOMAIN, 'ed', files['ed'])])
    other.parent.socket.close()
    ok(other.process.wait(PATIENCE_S) == 0, 'it ends with its parent',
       f'{other.process.returncode}')


def main():
    folder = tempfile.mkdtemp(prefix='culver-dkim-')
    empty = f'{folder}/empty'
    try:
        os.chmod(folder, 0o755)
        os.mkdir(empty)
        files = test_generate(folder)
        test_key(folder, files)
        test_check(folder, files)
        test_ctl_sign(files)
        test_operator(folder)
        sign = Sign(empty, [(DOMAIN, 'rsa', files['rsa']),
                            (DOMAIN, 'ed', files['ed'])])
        test_random(sign)
        test_report(sign)
        test_sizes(sign)
        test_links(sign)
        test_keys(sign, folder, files)
        test_end(sign, empty, files)
    finally:
        shutil.rmtree(folder)
    print(f'1..{number}')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
