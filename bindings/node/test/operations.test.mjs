import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Client } from 'zcrm';
import { emulator, failure, pieces, world } from './world.mjs';

emulator();
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const portrait = readFileSync(process.env.ZCRM_PORTRAIT);

suite('an upload takes its bytes from', () => {
    test('a path, whose last part names it', async () => {
        const { contact, folder, stored } = await world();
        writeFileSync(join(folder, 'contract.pdf'), 'signed');
        const uploaded = await contact.upload(join(folder, 'contract.pdf'), { sha256: true });
        assert.deepEqual([uploaded.fileName, uploaded.bytes, uploaded.sha256, uploaded.attempts], ['contract.pdf', 6, sha256('signed'), 1]);
        const [row] = await stored();
        assert.deepEqual([row.id, row.name, row.sha256], [uploaded.id, 'contract.pdf', sha256('signed')]);
    });

    test('a file URL', async () => {
        const { contact, folder, stored } = await world();
        writeFileSync(join(folder, 'ä b.txt'), 'x');
        await contact.upload(pathToFileURL(join(folder, 'ä b.txt')));
        assert.equal((await stored())[0].name, 'ä b.txt');
    });

    test('bytes, as they are when it begins', async () => {
        const { contact, stored } = await world();
        const bytes = Buffer.from('first');
        const uploading = contact.upload(bytes, { name: 'a.txt' });
        bytes.fill(0);
        await uploading;
        assert.equal((await stored())[0].sha256, sha256('first'));
    });

    test('a part of a larger buffer, and no bytes at all', async () => {
        const { contact, stored } = await world();
        await contact.upload(Buffer.from('0123456789').subarray(2, 5), { name: 'part' });
        await contact.upload(new Uint8Array(0), { name: 'empty' });
        assert.deepEqual(
            (await stored()).map((row) => [row.name, row.size, row.sha256]),
            [
                ['part', 3, sha256('234')],
                ['empty', 0, sha256('')],
            ],
        );
    });

    test("a file's stream, which names it, of a size that nobody tells", async () => {
        const { contact, folder, stored } = await world();
        writeFileSync(join(folder, 'report.csv'), 'a;b');
        await contact.upload(createReadStream(join(folder, 'report.csv')));
        assert.deepEqual(
            (await stored()).map((row) => [row.name, row.size]),
            [['report.csv', 3]],
        );
    });

    test('a web stream', async () => {
        const { contact, stored } = await world();
        await contact.upload(new Blob(['from the web']).stream(), { name: 'blob', length: 12 });
        assert.equal((await stored())[0].sha256, sha256('from the web'));
    });

    test('a function that opens a stream, again for each attempt', async () => {
        const { contact, fault, stored } = await world();
        await fault('attachment.upload', { kind: 'status', status: 429 });
        let opened = 0;
        const open = () => {
            opened++;
            return Readable.from(pieces(300_000));
        };
        const uploaded = await contact.upload(open, { name: 'twice', length: 300_000 });
        assert.deepEqual([uploaded.attempts, (await stored()).length], [2, 1]);
        assert.ok(opened >= 2, `it was opened ${opened} times`);
    });
});

test('a link is attached with its title', async () => {
    const { contact, stored } = await world();
    const uploaded = await contact.link('https://www.example.org/a', { title: 'A' });
    assert.equal(uploaded.linkUrl, 'https://www.example.org/a');
    assert.deepEqual(
        (await stored()).map((row) => [row.name, row.link_url]),
        [['A', 'https://www.example.org/a']],
    );
});

test('what is on the record already is not sent again when it is to be skipped', async () => {
    const { contact, stored } = await world();
    await contact.upload(Buffer.from('same'), { name: 'a' });
    const second = await contact.upload(Buffer.from('same'), { name: 'a', ifExists: 'skip_same_bytes' });
    assert.equal(second.skipped, true);
    assert.equal((await stored()).length, 1);
});

test('a list gives pages, and the loop over all of them each attachment once', async () => {
    const { contact, attach } = await world();
    for (let n = 0; n < 5; n++) await attach(`file ${n}`, `${n}`);
    const page = await contact.list({ perPage: 2 });
    assert.deepEqual([page.attachments.length, page.moreRecords], [2, true]);
    const next = await contact.list({ perPage: 2, pageToken: page.nextPageToken });
    const names = [];
    for await (const attachment of contact.attachments({ perPage: 2 })) names.push(attachment.fileName);
    assert.equal(new Set(names).size, 5);
    assert.equal(names.includes(next.attachments[0].fileName), true);
});

test('the records of a module are gone over page by page', async () => {
    const { client, newRecord, ledger } = await world();
    const made = [];
    for (let n = 0; n < 7; n++) made.push(await newRecord('Vendors'));
    const asked = async () => (await ledger()).requests.filter(({ operation }) => operation === 'record.list').length;
    const walk = client.records('Vendors', { perPage: 3 });
    const { value: first } = await walk.next();
    assert.deepEqual([first.module, await asked()], ['Vendors', 1]);
    assert.deepEqual((await first.list()).attachments, []);
    const found = [first.id];
    for await (const { id } of walk) found.push(id);
    assert.deepEqual(found.toSorted(), made.toSorted());
    assert.deepEqual(await failure(client.records('Nonsense').next()).then(({ code, operation }) => [code, operation]), [
        'ZCRM_E_INVALID_MODULE',
        'record.list',
    ]);
    assert.throws(() => client.records(5), { code: 'ZCRM_E_ARGUMENT', field: 'module' });
    assert.equal((await failure(client.records('Vendors', { signal: AbortSignal.abort() }).next())).code, 'ZCRM_E_CANCELLED');
});

test('a loop that deletes leaves nothing behind', async () => {
    const { contact, attach, stored } = await world();
    for (let n = 0; n < 7; n++) await attach(`file ${n}`, `${n}`);
    for await (const { id } of contact.attachments({ perPage: 3 })) await contact.delete(id);
    assert.deepEqual(await stored(), []);
});

test('several attachments are deleted at once', async () => {
    const { contact, attach, stored } = await world();
    const ids = [await attach('a', 'a'), await attach('b', 'b')];
    assert.deepEqual((await contact.delete(ids)).ids, ids);
    assert.deepEqual(await stored(), []);
});

suite('a download gives its bytes to', () => {
    test('memory', async () => {
        const { contact, attach } = await world();
        const id = await attach('a.txt', 'the bytes');
        const { data, fileName, sha256: hash } = await contact.download(id, { sha256: true });
        assert.deepEqual([data.toString(), fileName, hash], ['the bytes', 'a.txt', sha256('the bytes')]);
    });

    test('a file, which is not overwritten unasked', async () => {
        const { contact, attach, folder } = await world();
        const id = await attach('a.txt', 'new');
        const path = join(folder, 'a.txt');
        assert.equal((await contact.download(id, path)).path, path);
        const error = await failure(contact.download(id, path));
        assert.deepEqual([error.code, error.reason], ['ZCRM_E_IO', 'target_exists']);
        await contact.download(id, path, { overwrite: true });
        assert.equal(readFileSync(path, 'utf8'), 'new');
    });

    test('a stream, which is ended', async () => {
        const { contact, attach } = await world();
        const id = await attach('a.bin', Buffer.alloc(200_000, 7));
        const chunks = [];
        const to = new Writable({
            write(chunk, _, done) {
                chunks.push(chunk);
                setImmediate(done);
            },
        });
        await contact.download(id, to);
        assert.equal(sha256(Buffer.concat(chunks)), sha256(Buffer.alloc(200_000, 7)));
        assert.equal(to.writableFinished, true);
    });

    test('a stream that shall go on', async () => {
        const { contact, attach } = await world();
        const id = await attach('a', 'x');
        const to = new Writable({ write: (_c, _e, done) => done() });
        await contact.download(id, to, { end: false });
        assert.equal(to.writableEnded, false);
    });

    test('nobody, if they are not those that were expected', async () => {
        const { contact, attach, folder } = await world();
        const id = await attach('a', 'other');
        const error = await failure(contact.download(id, join(folder, 'a'), { expectedSha256: sha256('mine') }));
        assert.equal(error.code, 'ZCRM_E_CHECKSUM');
        assert.equal(existsSync(join(folder, 'a')), false);
    });
});

test("a record's photo is set, downloaded and deleted", async () => {
    const { contact, photo } = await world();
    const uploaded = await contact.photo.upload(portrait, { name: 'me.png', restrictTriggers: 'workflow' });
    assert.equal(uploaded.bytes, portrait.length);
    assert.equal(sha256(await photo()), sha256(portrait));
    assert.equal(sha256((await contact.photo.download()).data), sha256(portrait));
    await contact.photo.delete();
    assert.equal((await failure(contact.photo.download())).code, 'ZCRM_E_NOT_FOUND');
});

test('progress counts up to the whole file', async () => {
    const { contact } = await world();
    const told = [];
    await contact.upload(Readable.from(pieces(2_000_000)), { name: 'p', length: 2_000_000, onProgress: (at) => told.push(at) });
    assert.deepEqual(told.at(-1), { done: 2_000_000, total: 2_000_000 });
});

test('a step is JSON in and JSON out, below the paths that are allowed', async () => {
    const { contact, client, folder, options, stored } = await world();
    writeFileSync(join(folder, 'a.txt'), 'a');
    const step = { operation: 'attachment.upload', module: 'Contacts', record_id: contact.id, source: { path: join(folder, 'a.txt') } };
    const error = await failure(client.runStep(step));
    assert.deepEqual([error.code, error.reason, error.operation], ['ZCRM_E_ARGUMENT', 'path_not_allowed', 'attachment.upload']);
    const allowed = new Client({ ...options, allowPaths: folder });
    const output = await allowed.runStep(step);
    assert.equal(output.result.id, (await stored())[0].id);
});
