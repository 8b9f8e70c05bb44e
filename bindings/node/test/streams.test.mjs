import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { PassThrough, Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { Client } from 'zcrm';
import { emulator, failure, pieces, world } from './world.mjs';

emulator();

/** The most memory that the process had while work ran, beyond what it had before. */
async function growth(work) {
    const before = process.memoryUsage().rss;
    let most = before;
    const timer = setInterval(() => {
        most = Math.max(most, process.memoryUsage().rss);
    }, 5);
    await work();
    clearInterval(timer);
    return (most - before) / 2 ** 20;
}

test('100 MB go up and come down through streams in flat memory', async () => {
    const { contact } = await world();
    const size = 100_000_000;
    const up = (name, length) => contact.upload(Readable.from(pieces(size, 65_536)), { name, length });
    // The threads, and the first garbage collections, are no part of it.
    await Promise.all([contact.upload(Readable.from(pieces(5_000_000)), { name: 'warm', length: 5_000_000 }), contact.list()]);
    const known = await growth(() => up('known', size));
    const counted = await growth(() => up('counted'));
    const { attachments } = await contact.list();
    let received = 0;
    const to = new Writable({
        write(chunk, _, done) {
            received += chunk.length;
            done();
        },
    });
    const down = await growth(() => contact.download(attachments.find((row) => row.fileName === 'known').id, to));
    assert.equal(received, size);
    console.log(`growth: ${known.toFixed(1)} MiB up, ${counted.toFixed(1)} MiB up with its size counted first, ${down.toFixed(1)} MiB down`);
    // A file that is held is 95 MiB at least. What is left here is garbage of the streams' own.
    for (const one of [known, counted, down]) assert.ok(one < 64, `memory grew by ${one} MiB`);
});

test('a stream that nobody reads holds the download back', async () => {
    const { contact, attach } = await world();
    const id = await attach('big', Buffer.alloc(4_000_000));
    const to = new PassThrough({ highWaterMark: 16_384 });
    const downloading = contact.download(id, to);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(to.readableLength + to.writableLength < 1_000_000, `${to.readableLength + to.writableLength} bytes wait in the stream`);
    to.resume();
    assert.equal((await downloading).bytes, 4_000_000);
});

test('an attachment is copied through a pipe by a client with one place', async () => {
    const { options, id: record, attach, stored } = await world({ maxCalls: 1, maxInFlight: 1 });
    const contact = new Client(options).record('Contacts', record);
    const id = await attach('original', Buffer.alloc(3_000_000, 5));
    const pipe = new PassThrough();
    await Promise.all([contact.upload(pipe, { name: 'copy', length: 3_000_000 }), contact.download(id, pipe)]);
    const [one, two] = await stored();
    assert.equal(one.sha256, two.sha256);
});

test("as many files' streams as libuv has threads, and more, don't wait for each other", async () => {
    const { options, id, stored } = await world({ maxCalls: 16, maxInFlight: 16 });
    const contact = new Client(options).record('Contacts', id);
    const file = process.env.ZCRM_PORTRAIT;
    await Promise.all(Array.from({ length: 16 }, (_, n) => contact.upload(createReadStream(file), { name: `${n}` })));
    assert.equal((await stored()).length, 16);
});

test("a stream's error ends the upload, is its cause, and nothing is stored", async () => {
    const { contact, stored } = await world();
    const broken = new Error('the disk is gone');
    async function* half() {
        yield Buffer.alloc(100_000);
        throw broken;
    }
    for (const length of [200_000, undefined]) {
        const error = await failure(contact.upload(Readable.from(half()), { name: 'half', length }));
        assert.deepEqual([error.code, error.cause], ['ZCRM_E_CALLBACK', broken]);
        assert.match(error.message, /the disk is gone/);
    }
    assert.deepEqual(await stored(), []);
});

test('a stream that is shorter or longer than was said stores nothing', async () => {
    const { contact, stored } = await world();
    for (const length of [999, 2]) {
        const error = await failure(contact.upload(Readable.from([Buffer.from('abc')]), { name: 'a', length }));
        assert.equal(error.code, 'ZCRM_E_SOURCE_CHANGED');
    }
    assert.deepEqual(await stored(), []);
});

test('a stream that was read before is no empty file', async () => {
    const { contact, stored } = await world();
    const stream = Readable.from([Buffer.from('abc')]);
    await contact.upload(stream, { name: 'once' });
    const error = await failure(contact.upload(stream, { name: 'again' }));
    assert.equal(error.code, 'ZCRM_E_SOURCE_CONSUMED');
    assert.equal((await stored()).length, 1);
});

test('a stream of something else than bytes is refused', async () => {
    const { contact } = await world();
    const error = await failure(contact.upload(Readable.from([{ a: 1 }]), { name: 'a' }));
    assert.match(error.cause.message, /something else than bytes/);
});

test('a stream that the upload did not read to its end is destroyed', async () => {
    const { contact, fault } = await world();
    await fault('attachment.upload', { kind: 'status_early', status: 400, code: 'INVALID_DATA', after_bytes: 1000, close: true });
    const stream = Readable.from(pieces(50_000_000));
    await failure(contact.upload(stream, { name: 'a', length: 50_000_000 }));
    assert.equal(stream.destroyed, true);
});

test("a sink's error ends the download and is its cause, also when it shows at the end", async () => {
    const { contact, attach } = await world();
    const id = await attach('a', Buffer.alloc(500_000));
    const full = new Error('no space');
    const early = await failure(contact.download(id, new Writable({ write: (_c, _e, done) => done(full) })));
    assert.deepEqual([early.code, early.cause], ['ZCRM_E_CALLBACK', full]);
    const late = await failure(contact.download(id, new Writable({ write: (_c, _e, done) => done(), final: (done) => done(full) })));
    assert.equal(late, full);
});

test('a sink that was ended before is refused', async () => {
    const { contact, attach } = await world();
    const id = await attach('a', 'a');
    const to = new PassThrough();
    to.end();
    assert.match((await failure(contact.download(id, to))).message, /ended before/);
});
