// What the library calls back at any time: the source of tokens and the log.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'zcrm';
import { emulator, failure, world } from './world.mjs';

emulator();

/** A world whose client takes its token from a function. */
async function asking(token, settings = {}) {
    const w = await world();
    const { accessToken, ...options } = w.options;
    const client = new Client({ ...options, ...settings, token: (refused) => token(refused, accessToken) });
    return { ...w, client, contact: client.record('Contacts', w.id), accessToken };
}

suite('a token comes from a function', () => {
    test('that takes its time', async () => {
        const { contact, stored } = await asking(async (_, token) => {
            await sleep(20);
            return token;
        });
        await contact.upload(Buffer.from('x'), { name: 'a' });
        assert.equal((await stored()).length, 1);
    });

    test('that is told when Zoho refused its last one', async () => {
        const asked = [];
        const { contact } = await asking((refused, token) => {
            asked.push(refused);
            return refused ? token : 'stale';
        });
        await contact.list();
        assert.deepEqual(asked, [false, true]);
    });

    test('whose failure is the cause of each call that waited for it', async () => {
        const mine = new Error('the vault is sealed');
        const { client, contact } = await asking(() => {
            throw mine;
        });
        for (const error of await Promise.all([failure(contact.list()), failure(contact.upload(Buffer.from('x'), { name: 'a' }))])) {
            assert.deepEqual([error.code, error.cause], ['ZCRM_E_CALLBACK', mine]);
            assert.match(error.message, /the vault is sealed/);
        }
        const ends = [];
        const step = { operation: 'attachment.list', module: 'Contacts', record_id: contact.id };
        await client.batch([{ key: 'a', step }], { onEnd: (end) => ends.push(end) });
        assert.ok(ends.every(({ error }) => error.cause === mine));
    });

    test('that gives something else than a token', async () => {
        for (const [given, told] of [
            [undefined, /gave undefined/],
            [5, /gave number/],
            [Buffer.from('x'), /gave object/],
            ['x'.repeat(5000), /5000 bytes/],
            ['', /token/],
            ['a\r\nb: c', /token/],
        ]) {
            const { contact, ledger } = await asking(() => given);
            const error = await failure(contact.list());
            assert.match(`${error.message} ${error.cause?.message}`, told);
            assert.equal((await ledger()).requests.length, 0);
        }
    });

    test('that uses another client with a token of a function', async () => {
        const inner = await asking((_, token) => token);
        const { contact } = await asking(async (_, token) => {
            await inner.contact.list();
            return token;
        });
        await contact.list();
    });

    test('for a batch, whose steps run on threads of their own', async () => {
        const { client, id } = await asking(async (_, token) => token);
        const step = { operation: 'attachment.list', module: 'Contacts', record_id: id };
        const steps = Array.from({ length: 100 }, (_, n) => ({ key: `${n}`, step }));
        const { done } = await client.batch(steps, { parallel: 16, onEnd: async () => {} });
        assert.equal(done, 100);
    });

    test('that never answers, and an abort ends the calls all the same', async () => {
        const { contact, client, id, ledger } = await asking(() => new Promise(() => {}));
        const controller = new AbortController();
        const step = { operation: 'attachment.list', module: 'Contacts', record_id: id };
        const calls = [
            contact.list(controller),
            contact.list(controller),
            contact.upload(Buffer.from('x'), { name: 'a', signal: controller.signal }),
        ];
        const ended = Promise.all(calls.map(failure));
        const batch = client.batch([{ key: 'a', step }], { signal: controller.signal });
        await sleep(200);
        controller.abort();
        for (const error of await ended) assert.equal(error.code, 'ZCRM_E_CANCELLED');
        assert.equal((await batch).stopped, 'cancelled');
        assert.equal((await ledger()).requests.length, 0);
    });
});

suite('log lines', () => {
    test('come before their call ends, in order, up to a level', async () => {
        const { options, id, fault } = await world();
        const lines = [];
        const client = new Client({ ...options, log: (level, line) => lines.push([level, line]), logLevel: 'debug' });
        await fault('attachment.list', { kind: 'status', status: 503 });
        await client.record('Contacts', id).list({ traceId: 'mine' });
        const told = lines.map(([level, line]) => `${level} ${line}`).join('\n');
        assert.match(told, /debug .*503.*warn .*waiting.*debug .*204.*info .*trace=mine.*ok$/s);
        assert.ok(!told.includes(options.accessToken));
        const some = [];
        await new Client({ ...options, log: (level) => some.push(level), logLevel: 'error' }).record('Contacts', id).list();
        assert.deepEqual(some, []);
    });

    test('come from the threads of a batch', async () => {
        const { options, id } = await world();
        let lines = 0;
        const client = new Client({ ...options, log: () => lines++, logLevel: 'trace' });
        const step = { operation: 'attachment.list', module: 'Contacts', record_id: id };
        const steps = Array.from({ length: 50 }, (_, n) => ({ key: `${n}`, step }));
        assert.equal((await client.batch(steps, { parallel: 16 })).done, 50);
        assert.ok(lines >= 50, `${lines} lines`);
    });
});

test('a hook that is none is told by its name', async () => {
    const { options } = await world();
    assert.throws(() => new Client({ ...options, log: console }), { code: 'ZCRM_E_ARGUMENT', field: 'log' });
    assert.throws(() => new Client({ ...options, log() {}, logLevel: 'loud' }), { code: 'ZCRM_E_ARGUMENT', field: 'logLevel' });
    assert.throws(() => new Client({ apiVersoin: 'v8', log() {} }), { code: 'ZCRM_E_CONFIG' });
    assert.throws(() => new Client({ clientId: 'a', clientSecret: 'b', refreshToken: 'c', token: () => 'x' }), { code: 'ZCRM_E_CONFIG' });
});
