// What goes wrong on the caller's side: wrong types, streams that break, functions that throw, aborts at any moment.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { PassThrough, Readable, Writable } from 'node:stream';
import { suite, test } from 'node:test';
import { Client } from 'zcrm';
import { emulator, failure, world } from './world.mjs';

emulator();

test('an option of a wrong type or word is told by its name, and nothing is sent', async () => {
    const { contact, client, ledger, folder } = await world();
    const upload = (options) => contact.upload(Buffer.from('x'), { name: 'a', ...options });
    const step = { operation: 'attachment.list', module: 'Contacts', record_id: contact.id };
    for (const [field, call] of [
        ['signal', () => contact.list({ signal: {} })],
        ['signal', () => contact.list({ signal: new AbortController() })],
        ['onProgress', () => upload({ onProgress: 5 })],
        ['ifExists', () => upload({ ifExists: 'Skip' })],
        ['ifExists', () => contact.link('https://www.example.org/', { ifExists: true })],
        ['length', () => contact.upload(Readable.from(['x']), { name: 'a', length: -5 })],
        ['length', () => contact.upload(Readable.from(['x']), { name: 'a', length: Number.NaN })],
        ['length', () => contact.upload(Readable.from(['x']), { name: 'a', length: 2 ** 60 })],
        ['source', () => contact.upload(null)],
        ['source', () => contact.upload(undefined)],
        ['source', () => contact.upload(new ArrayBuffer(3), { name: 'a' })],
        ['source', () => contact.upload(() => 5, { name: 'a' })],
        ['sink', () => contact.download('1', null)],
        ['sink', () => contact.download('1', new Readable())],
        ['maxBytes', () => contact.download('1', { maxBytes: -1 })],
        ['call.expected_bytes', () => contact.download('1', { expectedBytes: -1 })],
        ['perPage', () => contact.list({ perPage: -1 })],
        ['perPage', () => contact.list({ perPage: 2 ** 32 + 5 })],
        ['page', () => contact.list({ page: 1.5 })],
        ['fields', () => contact.list({ fields: 'id' })],
        ['attachmentId', () => contact.delete(5)],
        ['traceId', () => upload({ traceId: 5 })],
        ['expectedSha256', () => upload({ expectedSha256: 5 })],
        ['step', () => client.runStep(undefined)],
        ['steps', () => client.batch(5)],
        ['steps', () => client.batch(undefined)],
        ['onEnd', () => client.batch([{ key: 'a', step }], { onEnd: 5 })],
        ['parallel', () => client.batch([{ key: 'a', step }], { parallel: -1 })],
        ['journal', () => client.batch([{ key: 'a', step }], { journal: 5 })],
    ]) {
        const error = await failure((async () => call())());
        assert.deepEqual([error.code, error.field], ['ZCRM_E_ARGUMENT', field], `${call}: ${error.stack}`);
    }
    assert.deepEqual((await ledger()).requests, [], folder);
});

suite('a stream', () => {
    test('of a file that is not there fails the upload, not the process', async () => {
        const { contact } = await world();
        const error = await failure(contact.upload(createReadStream('/nonexistent/a.pdf')));
        assert.deepEqual([error.code, error.cause.code], ['ZCRM_E_CALLBACK', 'ENOENT']);
    });

    test('that fails while the upload waits in line fails that upload alone', async () => {
        const { options, id, fault } = await world({ maxCalls: 1 });
        const contact = new Client(options).record('Contacts', id);
        await fault('attachment.list', { kind: 'delay', ms: 300 });
        const first = contact.list();
        const stream = new PassThrough();
        const waits = failure(contact.upload(stream, { name: 'a' }));
        const gone = new Error('gone');
        stream.destroy(gone);
        await first;
        assert.equal((await waits).cause, gone);
    });

    test('that is opened by an async function', async () => {
        const { contact, stored } = await world();
        await contact.upload(async () => Readable.from([Buffer.from('abc')]), { name: 'a', length: 3 });
        assert.equal((await stored())[0].size, 3);
    });

    test('that was given an encoding gives the bytes that it stands for', async () => {
        const { contact, stored, bytes } = await world();
        const all = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
        for (const encoding of ['latin1', 'hex', 'base64']) {
            await contact.upload(Readable.from([all], { objectMode: false }).setEncoding(encoding), { name: encoding });
        }
        for (const { id, name } of await stored()) assert.deepEqual(await bytes(id), all, name);
    });

    test('of the web that never gives anything is let go', async () => {
        const { contact } = await world();
        let told;
        const cancelled = new Promise((resolve) => {
            told = resolve;
        });
        const stream = new ReadableStream({ pull: () => new Promise(() => {}), cancel: told });
        const error = await failure(contact.upload(stream, { name: 'a', length: 5, signal: AbortSignal.timeout(200) }));
        assert.equal(error.code, 'ZCRM_E_CANCELLED');
        await cancelled;
    });

    test('that takes a download and hangs is left without a trace', async () => {
        const { contact, attach } = await world();
        const id = await attach('a', Buffer.alloc(4_000_000));
        const to = new PassThrough();
        const before = to.eventNames().map((name) => [name, to.listenerCount(name)]);
        await failure(contact.download(id, to, { signal: AbortSignal.timeout(300) }));
        await new Promise(setImmediate);
        assert.deepEqual(
            to.eventNames().map((name) => [name, to.listenerCount(name)]),
            before,
        );
    });

    test('that throws where it takes bytes fails its download', async () => {
        const { contact, attach } = await world();
        const id = await attach('a', 'a');
        const mine = new Error('mine');
        const to = new Writable({
            write() {
                throw mine;
            },
        });
        to.on('error', () => {});
        assert.equal((await failure(contact.download(id, to))).cause, mine);
        const closes = new Writable({ write: (_c, _e, done) => closes.destroy() && done() });
        assert.match((await failure(contact.download(id, closes))).message, /closed|close/i);
    });
});

test('an async progress function that fails ends the call, not the process', async () => {
    const { contact } = await world();
    const mine = new Error('enough');
    const error = await failure(
        contact.upload(Buffer.alloc(5_000_000), {
            name: 'a',
            onProgress: async () => {
                throw mine;
            },
        }),
    );
    assert.deepEqual([error.code, error.cause], ['ZCRM_E_CANCELLED', mine]);
});

test('an abort is heard at whatever moment a waiting call gets its place', async () => {
    const { options, id, fault, contact: warm } = await world();
    await warm.list(); // its thread is older than the logs of the clients below, so that the end of a call is heard before its last line
    for (let ticks = 0; ticks < 8; ticks++) {
        const controller = new AbortController();
        const abort = (n) => (n === 0 ? controller.abort() : queueMicrotask(() => abort(n - 1)));
        const client = new Client({ ...options, maxCalls: 1, log: (level) => level === 'info' && abort(ticks) });
        const contact = client.record('Contacts', id);
        await fault('attachment.list', { kind: 'delay', ms: 50 });
        await fault('attachment.upload', { kind: 'stall', at: 'before_reply' });
        const first = contact.list();
        const waits = failure(contact.upload(Buffer.from('x'), { name: `${ticks}`, signal: controller.signal }));
        await new Promise(setImmediate);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200); // the call ends meanwhile
        await first;
        assert.equal((await waits).code, 'ZCRM_E_CANCELLED');
    }
});

test('a client is closed, twice, while 50 calls run and wait: all go on', async () => {
    const { client, contact, stored } = await world();
    const controller = new AbortController();
    const calls = Array.from({ length: 50 }, (_, n) => contact.upload(Buffer.from(`${n}`), { name: `${n}`, signal: controller.signal }));
    client.close();
    client.close();
    await Promise.all(calls);
    controller.abort();
    controller.abort();
    assert.equal((await stored()).length, 50);
    assert.equal((await failure(contact.list())).reason, 'closed');
});

test('very long texts are refused by the library', async () => {
    const { contact, client } = await world();
    const long = 'x'.repeat(3_000_000);
    for (const call of [
        () => contact.upload(Buffer.from('x'), { name: long }),
        () => contact.upload(Buffer.from('x'), { name: 'a', traceId: long }),
        () => contact.list({ fields: [long] }),
        () => client.record('Contacts', long).list(),
        () => contact.download(long),
    ]) {
        assert.equal((await failure(call())).code, 'ZCRM_E_ARGUMENT', `${call}`);
    }
    await contact.upload(Buffer.from('x'), { name: 'after' });
});

test('a stream that an upload has let go may fail afterwards', async () => {
    const { contact } = await world();
    const stream = new Readable({
        read() {},
        destroy: (_, done) => setTimeout(() => done(new Error('late')), 20),
    });
    await failure(contact.upload(stream, { name: 'a', signal: AbortSignal.timeout(100) }));
    if (!stream.closed) await once(stream, 'close').catch(() => {});
});
