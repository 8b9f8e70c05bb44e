import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { suite, test } from 'node:test';
import { Client, describe, ZcrmError } from 'zcrm';
import { emulator, failure, world } from './world.mjs';

emulator();

/** Generous, as a busy machine takes its time. Without a cancel each of these would take a minute or for ever. */
const SOON_MS = 10_000;

/** An abort of a call that has begun. */
async function aborted(call, begun = 200) {
    const reason = new Error('not wanted any more');
    const controller = new AbortController();
    const ends = failure(call(controller.signal));
    await new Promise((resolve) => setTimeout(resolve, begun));
    const from = performance.now();
    controller.abort(reason);
    const error = await ends;
    assert.ok(performance.now() - from < SOON_MS);
    assert.deepEqual([error.code, error.name, error.cause], ['ZCRM_E_CANCELLED', 'AbortError', reason]);
    return error;
}

suite('an abort ends', () => {
    test('a call that waits for Zoho', async () => {
        const { contact, fault } = await world();
        await fault('attachment.list', { kind: 'stall', at: 'before_reply' });
        await aborted((signal) => contact.list({ signal }));
    });

    test('an upload that is under way, and says that it may be stored', async () => {
        const { contact, fault } = await world();
        await fault('attachment.upload', { kind: 'stall', at: 'before_reply' });
        const error = await aborted((signal) => contact.upload(Buffer.from('x'), { name: 'a', signal }));
        assert.deepEqual([error.outcomeOpen, error.requestSent], [true, 'fully']);
    });

    test('an upload that waits for its stream', async () => {
        const { contact, stored } = await world();
        await aborted((signal) => contact.upload(new PassThrough(), { name: 'a', length: 5, signal }));
        await aborted((signal) => contact.upload(new PassThrough(), { name: 'a', signal }));
        assert.deepEqual(await stored(), []);
    });

    test('a download whose stream takes no more', async () => {
        const { contact, attach } = await world();
        const id = await attach('a', Buffer.alloc(4_000_000));
        await aborted((signal) => contact.download(id, new PassThrough(), { signal }));
    });

    test('a call that waits in line', async () => {
        const { options, id, fault } = await world({ maxCalls: 1 });
        const contact = new Client(options).record('Contacts', id);
        await fault('attachment.list', { kind: 'stall', at: 'before_reply' });
        const first = new AbortController();
        const holds = failure(contact.list({ signal: first.signal }));
        const error = await aborted((signal) => contact.list({ signal }), 50);
        assert.equal(error.requestSent, 'no');
        first.abort();
        await holds;
        await contact.list();
    });

    test('a loop over attachments', async () => {
        const { contact, attach } = await world();
        for (let n = 0; n < 3; n++) await attach(`${n}`, 'x');
        const controller = new AbortController();
        const error = await failure(
            (async () => {
                for await (const _ of contact.attachments({ perPage: 1, signal: controller.signal })) controller.abort();
            })(),
        );
        assert.equal(error.code, 'ZCRM_E_CANCELLED');
    });

    test('nothing that has not begun: it isn’t sent', async () => {
        const { contact, ledger } = await world();
        const error = await failure(contact.list({ signal: AbortSignal.abort() }));
        assert.deepEqual([error.code, error.requestSent, (await ledger()).requests.length], ['ZCRM_E_CANCELLED', 'no', 0]);
    });
});

test('200 calls at once share a few threads, and one signal', async () => {
    const { contact, stored } = await world();
    const warnings = [];
    process.on('warning', (warning) => warnings.push(warning));
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 200 }, (_, n) => contact.upload(Buffer.from(`${n}`), { name: `${n}`, signal })));
    assert.equal((await stored()).length, 200);
    await new Promise(setImmediate);
    assert.deepEqual(warnings, []);
});

test('a failure says what Zoho said, and what to do', async () => {
    const { client, fault, contact } = await world({ maxRetries: 0 });
    const missing = await failure(client.record('Contacts', '123').list());
    assert.ok(missing instanceof ZcrmError && missing instanceof Error);
    assert.deepEqual([missing.code, missing.httpStatus, missing.apiCode, missing.retryable], ['ZCRM_E_INVALID_RECORD', 400, 'INVALID_DATA', false]);
    await fault('attachment.list', { kind: 'status', status: 429, headers: { 'Retry-After': '7' } });
    const limited = await failure(contact.list());
    assert.deepEqual([limited.code, limited.retryable, limited.retryAfterMs], ['ZCRM_E_RATE_LIMITED', true, 7000]);
});

test('a failure that may pass is tried again by the library', async () => {
    const { contact, fault } = await world();
    await fault('attachment.list', { kind: 'status', status: 503 });
    assert.equal((await contact.list()).attempts, 2);
});

test('a wrong setting, a wrong type and a wrong text are told by their names', async () => {
    assert.throws(() => new Client({ apiVersoin: 'v8' }), { code: 'ZCRM_E_CONFIG', message: /api_versoin.*api_version/ });
    assert.throws(() => new Client({ maxCalls: 0 }), { code: 'ZCRM_E_ARGUMENT', field: 'maxCalls' });
    const { client, contact } = await world();
    assert.throws(() => client.record('Contacts', 3652397), { code: 'ZCRM_E_ARGUMENT', field: 'id' });
    for (const [name, message] of [
        [5, /name: is no text/],
        ['a\0b', /name: holds a NUL/],
        ['', /name/],
    ]) {
        const error = await failure(contact.upload(Buffer.from('x'), { name }));
        assert.equal(error.code, 'ZCRM_E_ARGUMENT');
        assert.match(error.message, message);
    }
    const noLength = await failure(contact.upload(new PassThrough().end('x'), { name: 'a', length: 'long' }));
    assert.deepEqual([noLength.code, noLength.field], ['ZCRM_E_ARGUMENT', 'length']);
    assert.equal((await failure(contact.upload(42))).field, 'source');
    assert.equal((await failure(contact.download('1', 42))).field, 'sink');
});

test('every status and setting of the library is there by its name', () => {
    const { statuses, settings } = describe();
    assert.ok(statuses.some((status) => status.name === 'ZCRM_E_OUTCOME_UNKNOWN'));
    for (const { name } of settings) {
        const camel = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
        assert.throws(
            () => new Client({ [camel]: '\0' }),
            (error) => error.code.startsWith('ZCRM_E_') && !error.message.includes('no setting'),
        );
    }
});

test('what a progress function throws ends the call and is its cause', async () => {
    const { contact } = await world();
    const mine = new Error('enough');
    const fails = () => {
        throw mine;
    };
    const error = await failure(contact.upload(Buffer.alloc(5_000_000), { name: 'a', onProgress: fails }));
    assert.deepEqual([error.code, error.cause], ['ZCRM_E_CANCELLED', mine]);
});

test('a closed client refuses calls, and lets those go on that run', async () => {
    const { contact, client, fault } = await world();
    await fault('attachment.list', { kind: 'delay', ms: 300 });
    const runs = contact.list();
    client.close();
    client.close();
    assert.deepEqual((await runs).attachments, []);
    assert.equal((await failure(contact.list())).reason, 'closed');
});

test('a batch tells how each step ended, and a second run takes the rest from its journal', async () => {
    const { options, contact, folder, stored } = await world();
    writeFileSync(`${folder}/a.txt`, 'a');
    const client = new Client({ ...options, allowPaths: folder });
    const step = { operation: 'attachment.upload', module: 'Contacts', record_id: contact.id, source: { path: `${folder}/a.txt` } };
    async function* steps() {
        yield { key: 'good', step };
        yield { key: 'bad', step: { ...step, record_id: '123' } };
    }
    const ends = {};
    const onEnd = async (end) => {
        ends[end.key] = end;
    };
    const summary = await client.batch(steps(), { journal: `${folder}/journal`, onEnd });
    assert.deepEqual([summary.done, summary.failed, summary.left], [1, 1, 0]);
    assert.equal(ends.good.output.result.id, (await stored())[0].id);
    assert.equal(ends.bad.error.code, 'ZCRM_E_INVALID_RECORD');
    const second = await client.batch([{ key: 'good', step }], { journal: `${folder}/journal`, onEnd });
    assert.deepEqual([second.fromJournal, ends.good.fromJournal, (await stored()).length], [1, true, 1]);
});

test('what onEnd throws ends a batch, and the error is told', async () => {
    const { client, contact } = await world();
    const mine = new Error('enough');
    const steps = Array.from({ length: 50 }, (_, n) => ({
        key: `${n}`,
        step: { operation: 'attachment.list', module: 'Contacts', record_id: contact.id },
    }));
    const onEnd = () => {
        throw mine;
    };
    assert.equal(await failure(client.batch(steps, { onEnd, parallel: 1 })), mine);
});

test('a batch asks for a step when there is room for it', async () => {
    const { client, contact } = await world();
    let [asked, told, most] = [0, 0, 0];
    function* steps() {
        for (; asked < 500; ) {
            asked++;
            yield { key: `${asked}`, step: { operation: 'attachment.list', module: 'Contacts', record_id: contact.id } };
        }
    }
    const onEnd = () => {
        most = Math.max(most, asked - ++told);
    };
    const summary = await client.batch(steps(), { parallel: 2, onEnd });
    assert.deepEqual([summary.done, told], [500, 500]);
    assert.ok(most < 50, `${most} steps were taken before they could be run`);
});

test('what the steps of a batch throw ends it, and is told', async () => {
    const { client, contact } = await world();
    const step = { operation: 'attachment.list', module: 'Contacts', record_id: contact.id };
    const mine = new Error('the list is broken');
    async function* broken() {
        yield { key: 'a', step };
        throw mine;
    }
    const told = [];
    assert.equal(await failure(client.batch(broken(), { onEnd: ({ key }) => told.push(key) })), mine);
    assert.deepEqual(told, ['a']);
    assert.equal((await failure(client.batch([{ key: 5, step }]))).field, 'key');
    assert.equal((await failure(client.batch([{ key: 'a' }]))).field, 'step');
});

test('an abort of a batch gives its summary', async () => {
    const { client, contact, fault } = await world();
    await fault('attachment.list', { kind: 'stall', at: 'before_reply' });
    const step = { operation: 'attachment.list', module: 'Contacts', record_id: contact.id };
    const summary = await client.batch([{ key: 'a', step }], { signal: AbortSignal.timeout(300) });
    assert.deepEqual([summary.done, summary.left, summary.stopped], [0, 1, 'cancelled']);
});

test('a step of a batch whose key was there before fails by itself', async () => {
    const { client, contact } = await world();
    const step = { operation: 'attachment.list', module: 'Contacts', record_id: contact.id };
    const summary = await client.batch([
        { key: 'a', step },
        { key: 'a', step },
    ]);
    assert.deepEqual([summary.done, summary.failed], [1, 1]);
});

test('events go on during calls', async () => {
    const { contact, fault } = await world();
    await fault('attachment.list', { kind: 'delay', ms: 400 });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    await contact.list();
    clearInterval(timer);
    assert.ok(ticks > 5, `${ticks} ticks`);
    await once(new PassThrough().end().resume(), 'end');
});
