// What a process, its threads and its children see. Each of these runs in a process of its own.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { emulator, world } from './world.mjs';

emulator();

/** Runs a program beside these tests, so that it finds the package, and waits for its end. */
async function run(code, { options, id, env = {}, kind = 'mjs', flags = [] }) {
    const file = join(
        import.meta.dirname ?? new URL('.', import.meta.url).pathname,
        `program-${process.pid}-${Math.random().toString(36).slice(2)}.${kind}`,
    );
    const head = kind === 'cjs' ? "const { Client, ZcrmError, version } = require('zcrm');" : "import { Client, ZcrmError, version } from 'zcrm';";
    writeFileSync(file, `${head}\nconst options = ${JSON.stringify(options ?? {})};\nconst id = ${JSON.stringify(id ?? '')};\n${code}\n`);
    const child = spawn(process.execPath, [...flags, file], {
        env: { ...process.env, NODE_TEST_CONTEXT: '', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, error] = ['', ''];
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (error += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
    const [status, signal] = await new Promise((resolve) => child.on('close', (...ends) => resolve(ends)));
    clearTimeout(timer);
    rmSync(file);
    return { status, signal, out, error };
}

const ended = (result, out) => assert.deepEqual(result, { status: 0, signal: null, out, error: '' });

test('a process ends by itself when its work is done: no handle is left', async () => {
    const { options, id } = await world();
    const code = `
        const contact = new Client(options).record('Contacts', id);
        await Promise.all(Array.from({ length: 20 }, (_, n) => contact.upload(Buffer.from('x'), { name: 'f' + n })));
        for await (const attachment of contact.attachments()) { await contact.download(attachment.id); break; }
        await contact.list({ signal: AbortSignal.timeout(30000) });
        // A thread that is idle would end by itself after a while: what holds the process is asked for.
        console.log(process.getActiveResourcesInfo().filter((kind) => !/Pipe|TTY/.test(kind)).join() || 'done');`;
    ended(await run(code, { options, id }), 'done\n');
});

test('a process waits for a call that nobody awaits', async () => {
    const { options, id, stored, fault } = await world();
    await fault('attachment.upload', { kind: 'delay', ms: 500 });
    ended(await run("new Client(options).record('Contacts', id).upload(Buffer.from('x'), { name: 'a' });", { options, id }), '');
    assert.equal((await stored()).length, 1);
});

test('process.exit does not wait for Zoho, nor for a stream', async () => {
    const { options, id, fault } = await world();
    await fault('attachment.list', { kind: 'stall', at: 'before_reply' });
    const code = `
        import { PassThrough } from 'node:stream';
        const contact = new Client(options).record('Contacts', id);
        contact.list();
        contact.upload(new PassThrough(), { name: 'a' });
        contact.upload(new PassThrough(), { name: 'b', length: 9 });
        setTimeout(() => process.exit(0), 500);`;
    ended(await run(code, { options, id }), '');
});

test('process.exit waits neither for a token that nobody gives, nor for log lines', async () => {
    const { options, id, fault } = await world();
    await fault('attachment.list', { kind: 'stall', at: 'before_reply' });
    const code = `
        const { accessToken: _, ...rest } = options;
        const asks = new Client({ ...rest, token: () => new Promise(() => {}) });
        for (let n = 0; n < 20; n++) asks.record('Contacts', id).list();
        const logs = new Client({ ...options, log: () => {}, logLevel: 'trace', retryBaseMs: 1 });
        for (let n = 0; n < 20; n++) logs.record('Contacts', id).upload(Buffer.alloc(100000), { name: 'a' + n });
        logs.record('Contacts', id).list();
        setTimeout(() => process.exit(0), 300);`;
    ended(await run(code, { options, id }), '');
});

test('a process whose clients have hooks ends by itself', async () => {
    const { options, id } = await world();
    const code = `
        const { accessToken, ...rest } = options;
        let lines = 0;
        const client = new Client({ ...rest, token: async () => accessToken, log: () => lines++, logLevel: 'debug' });
        await client.record('Contacts', id).list();
        console.log(lines > 0);`;
    ended(await run(code, { options, id }), 'true\n');
});

test('what a log function throws is an uncaught exception', async () => {
    const { options, id } = await world();
    const code = `
        process.on('uncaughtException', (error) => console.log(error.message));
        const client = new Client({ ...options, logLevel: 'debug', log: () => { throw new Error('the disk is full'); } });
        console.log((await client.record('Contacts', id).list()).attachments.length);`;
    const { status, out, error } = await run(code, { options, id });
    assert.deepEqual([status, error], [0, '']);
    assert.match(out, /^(the disk is full\n)+0\n|^0\n(the disk is full\n)+/);
});

test('hooks are refused to a worker thread, which may be terminated at any moment', async () => {
    const { options, id } = await world();
    const code = `
        import { isMainThread, Worker } from 'node:worker_threads';
        if (isMainThread) new Worker(new URL(import.meta.url));
        else try { new Client({ ...options, log() {} }); } catch (error) { console.log(error.code, error.field); }`;
    ended(await run(code, { options, id }), 'ZCRM_E_UNSUPPORTED log\n');
});

test('clients and streams that nobody has any more are let go, and none that is used', async () => {
    const { options, id } = await world();
    const code = `
        import { readdirSync } from 'node:fs';
        import { Readable } from 'node:stream';
        import { setImmediate } from 'node:timers/promises';
        const descriptors = () => readdirSync('/proc/self/fd').length;
        const collected = async () => { for (let n = 0; n < 10; n++) { gc(); await setImmediate(); } };
        const work = async (n) => {
            const contact = new Client({ ...options, log() {} }).record('Contacts', id);
            const uploading = contact.upload(Readable.from([Buffer.from('x')]), { name: 'f' + n });
            gc();
            await uploading;
            for await (const attachment of contact.attachments({ perPage: 2 })) { gc(); if (n % 2) break; }
        };
        for (let n = 0; n < 3; n++) await work(n);
        await collected();
        const before = descriptors();
        for (let n = 0; n < 12; n++) await work(n);
        await collected();
        for (let n = 0; n < 100 && descriptors() > before + 6; n++) await collected();
        console.log(descriptors() <= before + 6 || descriptors() - before);`;
    ended(await run(code, { options, id, flags: ['--expose-gc'] }), 'true\n');
});

test('the package can be loaded twice', async () => {
    const { options, id } = await world();
    const code = `
        for (const path of Object.keys(require.cache)) if (path.includes('/zcrm/')) delete require.cache[path];
        const second = require('zcrm');
        const list = (Client) => new Client(options).record('Contacts', id).list();
        Promise.all([list(Client), list(second.Client)]).then((pages) => console.log(second.Client !== Client, pages.length));`;
    ended(await run(code, { options, id, kind: 'cjs' }), 'true 2\n');
});

test('it is a CommonJS package too', async () => {
    const { options, id } = await world();
    const code =
        "new Client(options).record('Contacts', id).list().then((page) => console.log(page.attachments.length, typeof ZcrmError, version()));";
    const { status, out } = await run(code, { options, id, kind: 'cjs' });
    assert.equal(status, 0);
    assert.match(out, /^0 function \d+\.\d+\.\d+\n$/);
});

test('worker threads have clients of their own', async () => {
    const { options, id, stored } = await world();
    const code = `
        import { isMainThread, Worker } from 'node:worker_threads';
        import { once } from 'node:events';
        import { Readable } from 'node:stream';
        if (isMainThread) {
            const threads = Array.from({ length: 4 }, () => new Worker(new URL(import.meta.url)));
            console.log((await Promise.all(threads.map((thread) => once(thread, 'exit')))).join());
        } else {
            const contact = new Client(options).record('Contacts', id);
            await Promise.all(Array.from({ length: 10 }, () => contact.upload(Readable.from([Buffer.from('from a thread')]), { name: 'a' })));
        }`;
    ended(await run(code, { options, id }), '0,0,0,0\n');
    assert.equal((await stored()).length, 40);
});

test('a worker thread that is terminated in an upload stores nothing of it', async () => {
    const { options, id, stored } = await world();
    const code = `
        import { isMainThread, Worker } from 'node:worker_threads';
        import { PassThrough } from 'node:stream';
        if (isMainThread) {
            const thread = new Worker(new URL(import.meta.url));
            setTimeout(async () => console.log(await thread.terminate()), 1000);
        } else {
            const stream = new PassThrough();
            stream.write('half');
            new Client(options).record('Contacts', id).upload(stream, { name: 'half' });
        }`;
    ended(await run(code, { options, id }), '1\n');
    assert.deepEqual(await stored(), []);
});

test('a child by fork works while its parent does', async () => {
    const { options, id, stored } = await world();
    const code = `
        import { fork } from 'node:child_process';
        import { once } from 'node:events';
        import { fileURLToPath } from 'node:url';
        const contact = new Client(options).record('Contacts', id);
        const work = (who) => Promise.all(Array.from({ length: 10 }, (_, n) => contact.upload(Buffer.from('x'), { name: who + n })));
        if (process.send) { await work('child'); process.disconnect(); }
        else {
            const busy = work('parent');
            const [status] = await once(fork(fileURLToPath(import.meta.url)), 'exit');
            await busy;
            console.log(status);
        }`;
    ended(await run(code, { options, id }), '0\n');
    assert.equal((await stored()).length, 20);
});

test('processes of one user share a token, in a file that only the user may read', async () => {
    const { options, id, credentials, ledger } = await world();
    const cache = mkdtempSync(join(tmpdir(), 'zcrm-cache-'));
    const { accessToken: _, ...rest } = options;
    const login = { ...rest, clientId: credentials.client_id, clientSecret: credentials.client_secret, refreshToken: credentials.refresh_token };
    const code = "await new Client(options).record('Contacts', id).list(); console.log('ok');";
    const env = { XDG_CACHE_HOME: cache };
    for (let n = 0; n < 3; n++) ended(await run(code, { options: login, id, env }), 'ok\n');
    const tokens = async () => (await ledger()).requests.filter((request) => request.operation === 'token').length;
    assert.equal(await tokens(), 1);
    const [file] = readdirSync(join(cache, 'zcrm')).filter((name) => /^token-[0-9a-f]{24}\.json$/.test(name));
    assert.equal(statSync(join(cache, 'zcrm', file)).mode & 0o777, 0o600);
    ended(await run(code, { options: { ...login, tokenFile: null }, id, env }), 'ok\n');
    assert.equal(await tokens(), 2);
});

test('a cache folder that is relative is none: processes in different folders share a token all the same', async () => {
    const { options, id, credentials, ledger } = await world();
    const home = mkdtempSync(join(tmpdir(), 'zcrm-home-'));
    const { accessToken: _, ...rest } = options;
    const login = { ...rest, clientId: credentials.client_id, clientSecret: credentials.client_secret, refreshToken: credentials.refresh_token };
    for (const folder of ['one', 'two']) {
        mkdirSync(join(home, folder));
        const code = `process.chdir(${JSON.stringify(join(home, folder))}); await new Client(options).record('Contacts', id).list();`;
        ended(await run(code, { options: login, id, env: { HOME: home, XDG_CACHE_HOME: 'cache' } }), '');
    }
    assert.equal((await ledger()).requests.filter((request) => request.operation === 'token').length, 1);
});

test('processes without a refresh token, whose client is one of an organisation, share a token too', async () => {
    const { options, id, credentials, ledger } = await world();
    const cache = mkdtempSync(join(tmpdir(), 'zcrm-cache-'));
    const { accessToken: _, ...rest } = options;
    const { client_id: clientId, client_secret: clientSecret, org_id } = credentials;
    const login = { ...rest, clientId, clientSecret, soid: `ZohoCRM.${org_id}`, scope: 'ZohoCRM.modules.ALL' };
    const code = "await new Client(options).record('Contacts', id).list();";
    for (let n = 0; n < 2; n++) ended(await run(code, { options: login, id, env: { XDG_CACHE_HOME: cache } }), '');
    assert.equal((await ledger()).requests.filter((request) => request.operation === 'token').length, 1);
});

test('a library that cannot be loaded is named', async () => {
    const code = 'try { version() } catch (error) { console.log(error.message) }';
    const { out } = await run(code, { env: { ZCRM_LIBRARY: '/nonexistent/libzcrm.so' } });
    assert.match(out, /\/nonexistent\/libzcrm\.so can't be loaded/);
});

test('without the package of its platform it says which one is missing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zcrm-alone-'));
    for (const name of ['zcrm', 'koffi', '@koromix']) cpSync(join('node_modules', name), join(folder, 'node_modules', name), { recursive: true });
    const code = "try { require('zcrm').version() } catch (error) { console.log(error.message) }";
    const { stdout } = spawnSync(process.execPath, ['-e', code], { cwd: folder, encoding: 'utf8' });
    assert.match(stdout, /@zcrm\/linux-\w+-gnu .*missing.*--omit=optional/);
});

test('the example of the README does what it says', async () => {
    const { options, id, stored, folder } = await world();
    const [, example] = /```js\n(.*?)```/s.exec(readFileSync('node_modules/zcrm/README.md', 'utf8'));
    cpSync(process.env.ZCRM_PORTRAIT, join(folder, 'portrait.png'));
    writeFileSync(join(folder, 'contract.pdf'), 'signed');
    const code = `
        import { createReadStream } from 'node:fs';
        process.chdir(${JSON.stringify(folder)});
        const request = createReadStream('portrait.png'), signal = AbortSignal.timeout(30000);
        ${example
            .replace(/^import .*$/m, '')
            .replace(/new Client\(.*?\)/, 'new Client(options)')
            .replace("'3652397000000649013'", 'id')}`;
    const { status, error } = await run(code, { options, id });
    assert.deepEqual([status, error], [0, '']);
    assert.deepEqual((await stored()).map(({ name }) => name).toSorted(), ['Order 17', 'scan.pdf']);
});

test('an answer is streamed from an HTTP server to a record', async () => {
    const { options, id, stored } = await world();
    const server = createServer((_, answer) => answer.end(Buffer.alloc(3_000_000, 1))).listen(0);
    const code = `
        const answer = await fetch('http://127.0.0.1:${server.address().port}');
        const length = Number(answer.headers.get('content-length'));
        await new Client(options).record('Contacts', id).upload(answer.body, { name: 'fetched', length });`;
    ended(await run(code, { options, id }), '');
    server.close();
    assert.equal((await stored())[0].size, 3_000_000);
});
