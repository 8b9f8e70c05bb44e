// An emulator for each file of tests, and an organisation with a record for each test.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before } from 'node:test';
import { Client } from 'zcrm';

let url;

/** Starts the emulator before the tests of a file. */
export function emulator() {
    let process_;
    before(async () => {
        process_ = spawn(process.env.ZCRM_EMULATOR, ['--until-stdin-closes'], { stdio: ['pipe', 'pipe', 'inherit'] });
        url = await new Promise((resolve) => createInterface(process_.stdout).once('line', resolve));
    });
    after(() => process_?.stdin.end());
}

async function control(method, path, body) {
    const answer = await fetch(`${url}/_emulator/${path}`, {
        method,
        ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
    return Buffer.from(await answer.arrayBuffer());
}

/** An organisation of a test's own. `settings` are those of its client. */
export async function world(settings = {}) {
    const made = JSON.parse(await control('POST', 'organisations', { name: randomUUID(), records: [{ module: 'Contacts' }] }));
    const organisation = made.organisation;
    const [{ id }] = made.records;
    const options = { apiDomain: url, accountsUrl: url, accessToken: made.access_token, retryBaseMs: 5, ...settings };
    const client = new Client(options);
    const query = `?organisation=${organisation}`;
    return {
        url,
        options,
        credentials: made.credentials,
        client,
        id,
        contact: client.record('Contacts', id),
        folder: mkdtempSync(join(tmpdir(), 'zcrm-')),
        fault: (operation, ...faults) => control('POST', 'faults', { operation, organisation, faults }),
        attach: async (name, bytes) =>
            JSON.parse(await control('POST', `records/Contacts/${id}/attachments${query}&name=${encodeURIComponent(name)}`, bytes)).id,
        newRecord: async (module) => JSON.parse(await control('POST', `records${query}`, { module })).id,
        setPhoto: (bytes) => control('PUT', `records/Contacts/${id}/photo${query}`, bytes),
        photo: () => control('GET', `records/Contacts/${id}/photo${query}`),
        stored: async () => JSON.parse(await control('GET', `records/Contacts/${id}/attachments${query}`)),
        bytes: (attachment) => control('GET', `records/Contacts/${id}/attachments/${attachment}${query}`),
        grantCode: async () => JSON.parse(await control('POST', 'tokens/grant-code', { organisation })).code,
        ledger: async () => JSON.parse(await control('GET', `ledger${query}`)),
    };
}

/** What a promise that must reject rejects with. */
export async function failure(promise) {
    const gone = Symbol('it succeeded');
    const error = await promise.then(
        (value) => ({ [gone]: value }),
        (reason) => reason,
    );
    if (gone in Object(error)) throw new Error(`it succeeded: ${JSON.stringify(error[gone])}`);
    return error;
}

/** Small pieces, so that a stream of them crosses many borders. */
export async function* pieces(total, size = 50_000) {
    for (let done = 0; done < total; done += size) yield Buffer.alloc(Math.min(size, total - done), (done / size) % 251);
}
