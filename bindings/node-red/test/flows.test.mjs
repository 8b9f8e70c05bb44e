import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { account, flow, msg, nodeRed, str, until } from './red.mjs';
import { emulator, world } from './world.mjs';

emulator();
let red;
before(async () => {
    red = await nodeRed();
});

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const base64 = (bytes) => Buffer.from(bytes).toString('base64');
const record = (w) => ({ module: str('Contacts'), record_id: str(w.id) });

suite('each operation', () => {
    test('uploads the Buffer of a message, under its name', async () => {
        const w = await world();
        await red.deploy(flow(account(w), { operation: 'attachment.upload', fields: record(w), choices: { source: 'message' } }));
        const { payload, zcrm } = await red.send({ bytes: base64('from a flow'), filename: '/tmp/a.txt' });
        const [row] = await w.stored();
        assert.deepEqual([row.id, row.name, row.sha256], [payload.id, 'a.txt', sha256('from a flow')]);
        assert.deepEqual([zcrm.operation, zcrm.attempts], ['attachment.upload', 1]);
    });

    test('uploads a stream, under the name of the form', async () => {
        const w = await world();
        writeFileSync(join(w.folder, 'x'), Buffer.alloc(3_000_000, 1));
        const before = `msg.payload = global.get('fs').createReadStream(${JSON.stringify(join(w.folder, 'x'))})`;
        const fields = { ...record(w), 'source.name': str('stream.bin') };
        await red.deploy(flow(account(w), { operation: 'attachment.upload', fields, choices: { source: 'message' } }, before));
        await red.send({});
        assert.deepEqual(
            (await w.stored()).map((row) => [row.name, row.size]),
            [['stream.bin', 3_000_000]],
        );
    });

    test('uploads a file of an allowed folder', async () => {
        const w = await world();
        writeFileSync(join(w.folder, 'invoice.pdf'), '%PDF');
        const allowed = account(w, { allowPaths: w.folder });
        await red.deploy(
            flow(allowed, { operation: 'attachment.upload', fields: { ...record(w), 'source.path': msg('file') }, choices: { source: 'path' } }),
        );
        await red.send({ file: join(w.folder, 'invoice.pdf') });
        assert.equal((await w.stored())[0].name, 'invoice.pdf');
    });

    test('attaches a link', async () => {
        const w = await world();
        const fields = { ...record(w), 'source.url': str('https://www.example.org/'), 'source.title': str('Home') };
        await red.deploy(flow(account(w), { operation: 'attachment.upload', fields, choices: { source: 'url' } }));
        await red.send({});
        assert.equal((await w.stored())[0].link_url, 'https://www.example.org/');
    });

    test('lists, with a record and a page size of the message', async () => {
        const w = await world();
        for (const name of ['a', 'b', 'c']) await w.attach(name, name);
        const fields = { module: str('Contacts'), record_id: msg('record'), page: { t: 'num', v: '1' }, per_page: msg('size') };
        await red.deploy(flow(account(w), { operation: 'attachment.list', fields }));
        const { payload } = await red.send({ record: w.id, size: 2 });
        assert.deepEqual([payload.attachments.length, payload.more_records], [2, true]);
    });

    test('downloads to a Buffer', async () => {
        const w = await world();
        const id = await w.attach('report.csv', 'a;b');
        const fields = { ...record(w), attachment_id: msg('id') };
        await red.deploy(flow(account(w), { operation: 'attachment.download', fields, choices: { sink: 'message' } }));
        const { payload, filename, zcrm } = await red.send({ id });
        assert.deepEqual([Buffer.from(payload.bytes, 'base64').toString(), filename, zcrm.result.path], ['a;b', 'report.csv', undefined]);
    });

    test('downloads to a file of an allowed folder', async () => {
        const w = await world();
        const fields = { ...record(w), attachment_id: str(await w.attach('a', 'bytes')), 'sink.path': str(join(w.folder, 'saved')) };
        await red.deploy(flow(account(w, { allowPaths: w.folder }), { operation: 'attachment.download', fields, choices: { sink: 'path' } }));
        const { payload } = await red.send({});
        assert.equal(payload.path, join(w.folder, 'saved'));
        assert.equal(readFileSync(payload.path, 'utf8'), 'bytes');
    });

    test('sets, downloads and deletes a photo', async () => {
        const w = await world();
        const portrait = readFileSync(process.env.ZCRM_PORTRAIT);
        await red.deploy(flow(account(w), { operation: 'photo.upload', fields: record(w), choices: { source: 'message' } }));
        await red.send({ bytes: base64(portrait), filename: 'me.png' });
        await red.deploy(flow(account(w), { operation: 'photo.download', fields: record(w), choices: { sink: 'message' } }));
        const { payload } = await red.send({});
        assert.equal(sha256(Buffer.from(payload.bytes, 'base64')), sha256(portrait));
        await red.deploy(flow(account(w), { operation: 'photo.delete', fields: record(w) }));
        await red.send({});
        await red.deploy(flow(account(w), { operation: 'photo.download', fields: record(w), choices: { sink: 'message' } }));
        assert.equal((await red.send({})).failed.code, 'ZCRM_E_NOT_FOUND');
    });

    test('deletes several attachments', async () => {
        const w = await world();
        const ids = [await w.attach('a', 'a'), await w.attach('b', 'b')];
        await red.deploy(flow(account(w), { operation: 'attachment.delete', fields: { ...record(w), attachment_ids: msg('ids') } }));
        assert.deepEqual((await red.send({ ids })).payload.ids, ids);
        assert.deepEqual(await w.stored(), []);
    });

    test('runs a batch', async () => {
        const w = await world();
        const step = { operation: 'attachment.list', module: 'Contacts', record_id: w.id };
        const steps = ['a', 'b'].map((key) => ({ key, step }));
        await red.deploy(flow(account(w), { operation: 'batch', fields: { steps: { t: 'json', v: JSON.stringify(steps) } } }));
        assert.equal((await red.send({})).payload.done, 2);
    });
});

suite('a failure reaches the Catch node', () => {
    test('when a file is named and no folder is allowed', async () => {
        const w = await world();
        await red.deploy(
            flow(account(w), { operation: 'attachment.upload', fields: record(w), choices: { source: 'message' } }, "msg.payload = '/etc/passwd'"),
        );
        const { failed } = await red.send({});
        assert.deepEqual([failed.code, failed.reason, failed.retryable], ['ZCRM_E_ARGUMENT', 'path_not_allowed', false]);
        assert.deepEqual(await w.stored(), []);
        assert.ok((await red.statuses()).some(({ fill, text }) => fill === 'red' && text === 'ZCRM_E_ARGUMENT'));
    });

    test('with its code, whether it may pass, and when', async () => {
        const w = await world();
        await w.fault('attachment.list', { kind: 'status', status: 429, headers: { 'Retry-After': '7' } });
        await red.deploy(flow(account(w, { settings: 'max_retries = 0' }), { operation: 'attachment.list', fields: record(w) }));
        const { failed } = await red.send({});
        assert.deepEqual([failed.code, failed.retryable, failed.retryAfterMs], ['ZCRM_E_RATE_LIMITED', true, 7000]);
    });

    test('when a field or the payload is missing, by its name', async () => {
        const w = await world();
        await red.deploy(flow(account(w), { operation: 'attachment.upload', fields: { module: str('Contacts') }, choices: { source: 'message' } }));
        assert.match((await red.send({})).failed.message, /msg.payload is undefined/);
        assert.match((await red.send({ bytes: '' })).failed.message, /no name/);
        assert.match((await red.send({ bytes: '', filename: 'a' })).failed.message, /record_id/);
    });

    test('when the stream of a message fails, and Node-RED goes on', async () => {
        const w = await world();
        // It fails while the fields are worked out, and nobody reads it yet.
        const before = `msg.payload = new (global.get('Readable'))({ read() {} });
            setTimeout(() => msg.payload.destroy(new Error('the line is cut')), 30)`;
        const fields = { ...record(w), 'source.name': { t: 'jsonata', v: '"a" & $sum([1..100000].($ * 1)) & ".pdf"' } };
        await red.deploy(flow(account(w), { operation: 'attachment.upload', fields, choices: { source: 'message' } }, before));
        assert.match((await red.send({})).failed.message, /the line is cut/);
        const odd =
            "msg.payload = new (global.get('Readable'))({ objectMode: true, read() { this.push({ a: 1 }); this.push(null); } }); msg.filename = 'a'";
        await red.deploy(flow(account(w), { operation: 'attachment.upload', fields: record(w), choices: { source: 'message' } }, odd));
        assert.match((await red.send({})).failed.message, /something else than bytes/);
        const breaks = `msg.payload = new (global.get('Readable'))({ read() { this.push(Buffer.alloc(100000)); this.destroy(new Error('half of it')); } });
            msg.filename = 'a'`;
        await red.deploy(flow(account(w), { operation: 'attachment.upload', fields: record(w), choices: { source: 'message' } }, breaks));
        assert.match((await red.send({})).failed.message, /half of it/);
        assert.deepEqual([await w.stored(), red.spooled()], [[], []]);
    });

    test('when an account has a setting that there is not', async () => {
        const w = await world();
        await red.deploy(flow(account(w, { settings: 'api_versoin = v8' }), { operation: 'attachment.list', fields: record(w) }));
        assert.match((await red.send({})).failed.message, /api_versoin.*api_version/);
    });
});

test('a failure that may pass is tried again', async () => {
    const w = await world();
    await w.fault('attachment.list', { kind: 'status', status: 503 });
    await red.deploy(flow(account(w), { operation: 'attachment.list', fields: record(w) }));
    assert.equal((await red.send({})).zcrm.attempts, 2);
});

test('the ring shows how far an upload is', async () => {
    const w = await world();
    await red.deploy(
        flow(
            account(w),
            { operation: 'attachment.upload', fields: record(w), choices: { source: 'message' } },
            'msg.payload = Buffer.alloc(5000000)',
        ),
    );
    await red.send({ filename: 'a' });
    const rings = (await red.statuses()).filter(({ shape, text }) => shape === 'ring' && text.endsWith('%'));
    assert.equal(rings.at(-1).text, '100 %');
});

test('64 messages at once are each done', async () => {
    const w = await world();
    await red.deploy(flow(account(w), { operation: 'attachment.upload', fields: record(w), choices: { source: 'message' } }));
    const sent = await Promise.all(Array.from({ length: 64 }, (_, n) => red.send({ bytes: base64(`${n}`), filename: `${n}` })));
    assert.equal(new Set(sent.map(({ payload }) => payload.id)).size, 64);
    assert.equal((await w.stored()).length, 64);
});

test('a deploy in the middle of an upload cancels it, and the new flow works', async () => {
    const w = await world();
    const flows = flow(account(w), { operation: 'attachment.upload', fields: record(w), choices: { source: 'message' } });
    await red.deploy(flows);
    await w.fault('attachment.upload', { kind: 'stall', at: 'before_reply' });
    // Node-RED doesn't answer a request whose flow it has stopped.
    const request = new AbortController();
    const lost = fetch(`${red.url}/run`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ bytes: base64('x'), filename: 'lost' }),
        signal: request.signal,
    }).catch(() => {});
    await until(async () => (await w.ledger()).faults_fired.length > 0);
    const began = performance.now();
    await red.deploy(flows);
    // Node-RED itself gives up on a node that doesn't close after 15 s.
    assert.ok(performance.now() - began < 14_000);
    assert.doesNotMatch(red.log(), /Error stopping node|timed out/i);
    request.abort();
    await lost;
    assert.ok((await red.send({ bytes: base64('y'), filename: 'next' })).payload.id);
});

test('secrets are encrypted, and are there again after a restart', async () => {
    const w = await world();
    const own = await nodeRed();
    await own.deploy(flow(account(w, { byRefreshToken: true }), { operation: 'attachment.list', fields: record(w) }));
    assert.deepEqual((await own.send({})).payload.attachments, []);
    const [flows, secrets] = ['flows.json', 'flows_cred.json'].map((name) => readFileSync(join(own.folder, name), 'utf8'));
    for (const secret of [w.credentials.client_secret, w.credentials.refresh_token]) {
        assert.ok(!flows.includes(secret) && !secrets.includes(secret));
        assert.ok(!JSON.stringify(await own.admin('GET', '/flows')).includes(secret));
    }
    await own.stop();
    const again = await nodeRed(own.folder);
    await until(async () => (await fetch(`${again.url}/statuses`)).ok);
    assert.deepEqual((await again.send({})).payload.attachments, []);
    await again.stop();
});

suite('the test of an account says', () => {
    const ask = (node) => {
        const { credentials, ...config } = node;
        return red.admin('POST', '/zcrm/test', { id: 'none', config, credentials });
    };

    test('that Zoho accepts the login', async () => {
        assert.deepEqual(await ask(account(await world(), { byRefreshToken: true })), { ok: true, message: 'Zoho accepts this login' });
    });

    test('that Zoho accepts that of a profile, which stands for all that the form says of a login', async () => {
        const w = await world();
        const file = join(w.folder, 'profiles.toml');
        writeFileSync(file, `[work]\ndata_center = "eu"\naccess_token = "${w.options.accessToken}"\n`, { mode: 0o600 });
        const node = { ...account(w, { settings: `profiles = ${file}` }), profile: 'work', clientId: 'wrong', credentials: { accessToken: 'wrong' } };
        assert.deepEqual(await ask(node), { ok: true, message: 'Zoho accepts this login' });
        assert.match((await ask({ ...node, profile: 'other' })).message, /no profile "other"/);
        await red.deploy(flow(node, { operation: 'attachment.list', fields: record(w) }));
        assert.deepEqual((await red.send({})).payload.attachments, []);
    });

    test('what is wrong with it', async () => {
        const node = account(await world(), { byRefreshToken: true });
        const secret = await ask({ ...node, credentials: { ...node.credentials, clientSecret: 'wrong' } });
        assert.equal(secret.ok, false);
        assert.match(secret.message, /client_secret|invalid_client/);
        const none = await ask({ ...node, credentials: {} });
        assert.match(none.message, /refresh_token|access_token/);
        const setting = await ask({ ...node, settings: 'proxy' });
        assert.match(setting.message, /"proxy" is not of the form/);
        for (const line of ['allow_paths = /', 'profile = work']) {
            assert.match((await ask({ ...node, settings: line })).message, /field of its own/);
        }
    });
});

test('the form is drawn from what the library says', async () => {
    const { operations, settings } = await red.admin('GET', '/zcrm/description');
    assert.ok(operations.some(({ id }) => id === 'photo.upload'));
    assert.ok(settings.some(({ name }) => name === 'data_center'));
});

suite('each example', () => {
    for (const name of readdirSync('examples')) {
        test(`${name} is a flow that Node-RED takes`, async () => {
            const flows = JSON.parse(readFileSync(join('examples', name), 'utf8'));
            const ids = new Set(flows.map(({ id }) => id));
            for (const { type, wires = [], account: of } of flows) {
                for (const to of wires.flat()) assert.ok(ids.has(to), `${to} is no node`);
                if (type === 'zcrm-file') assert.ok(ids.has(of));
            }
            await red.deploy(flows);
            const { operations } = await red.admin('GET', '/zcrm/description');
            for (const { type, operation, fields } of flows) {
                if (type !== 'zcrm-file') continue;
                const known = operations.find(({ id }) => id === operation).input.properties;
                for (const key of Object.keys(fields)) assert.ok(key.split('.')[0] in known, `${key} is no field of ${operation}`);
            }
            assert.doesNotMatch(red.log(), /missing node types|Waiting for missing types/i);
        });
    }
});

suite('each example does what it says:', () => {
    /** Deploys an example with a folder and an account of the test. */
    const begin = async (w, name, folder) => {
        const text = readFileSync(join('examples', name), 'utf8').replaceAll(folder, w.folder);
        const flows = JSON.parse(text.replace('"duration": "5"', '"duration": "2"'));
        const of = account(w);
        const { settings, credentials } = of;
        await red.deploy(flows.map((node) => (node.type === 'zcrm-account' ? { ...node, settings, credentials } : node)));
    };

    test('a file that is put into the folder of a record is attached, once, and one that is written in pieces as it is at last', async () => {
        const w = await world();
        mkdirSync(join(w.folder, w.id));
        await begin(w, 'watch a folder.json', '/srv/files');
        writeFileSync(join(w.folder, w.id, 'a.pdf'), 'signed');
        await until(async () => (await w.stored()).length === 1);
        const slow = await open(join(w.folder, w.id, 'slow.bin'), 'w');
        for (const piece of ['one ', 'two ', 'three']) {
            await slow.write(piece);
            await sleep(200);
        }
        await slow.close();
        await until(async () => (await w.stored()).length > 1);
        assert.deepEqual((await w.stored()).map(({ name, sha256: hash }) => `${name} ${hash}`).toSorted(), [
            `a.pdf ${sha256('signed')}`,
            `slow.bin ${sha256('one two three')}`,
        ]);
    });

    test('a file in the folder of a record that came later is attached too', async () => {
        const w = await world();
        await begin(w, 'watch a folder.json', '/srv/files');
        mkdirSync(join(w.folder, w.id));
        await sleep(100);
        writeFileSync(join(w.folder, w.id, 'late.pdf'), 'late');
        await until(async () => (await w.stored()).length === 1);
        assert.equal((await w.stored())[0].sha256, sha256('late'));
    });

    test('at night the photos that the list names are set, and one that is missing holds up none', async () => {
        const w = await world();
        const other = await w.newRecord('Contacts');
        const portrait = readFileSync(process.env.ZCRM_PORTRAIT);
        writeFileSync(join(w.folder, 'one.png'), portrait);
        writeFileSync(join(w.folder, 'photos.csv'), `record_id,file\n${other},none.png\n${w.id},one.png\n`);
        await begin(w, 'nightly photos.json', '/srv/photos');
        await fetch(`${red.url}/inject/zn-night`, { method: 'POST' });
        await until(async () =>
            w.photo().then(
                (bytes) => bytes.equals(portrait),
                () => false,
            ),
        );
    });
});

test('the demo attaches a file that is sent to its page', async () => {
    const demo = spawn(process.execPath, ['demo.mjs'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = '';
    demo.stdout.on('data', (text) => {
        told += text;
    });
    try {
        await until(() => told.includes('Ctrl-C'));
        const [page] = /http\S+contact-file/.exec(told);
        const [, id] = /record id is (\d+)/.exec(told);
        const [, crm] = /then has +(http\S+)/.exec(told);
        assert.match(await (await fetch(page)).text(), /A file for a contact/);
        const form = new FormData();
        form.set('record_id', id);
        form.set('file', new Blob(['from a browser']), 'form.txt');
        assert.match(await (await fetch(page, { method: 'POST', body: form })).text(), /form.txt is attached/);
        const stored = await (await fetch(`${crm}/_emulator/records/Contacts/${id}/attachments`)).json();
        assert.equal(stored.find(({ name }) => name === 'form.txt').sha256, sha256('from a browser'));
        form.set('record_id', '1');
        const refused = await fetch(page, { method: 'POST', body: form });
        assert.deepEqual([refused.status, /related id/.test(await refused.text())], [400, true]);
    } finally {
        demo.kill();
        await once(demo, 'exit');
    }
});
