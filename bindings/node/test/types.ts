// Compiled, never run: what a program in TypeScript may write, and what it may not.
import { Readable, Writable } from 'node:stream';
import { type Attachment, Client, type ClientOptions, exchangeGrantCode, type Grant, type Status, ZcrmError } from 'zcrm';

const options: ClientOptions = {
    clientId: 'a',
    clientSecret: 'b',
    refreshToken: 'c',
    dataCenter: 'eu',
    maxInFlight: 4,
    allowHttp: true,
    tokenFile: null,
    log: (level, line) => console[level](line),
    logLevel: 'debug',
};
export const logged = [new Client({ profile: 'work' }), new Client({ profiles: new URL('file:///profiles.toml'), maxInFlight: 2 })];
export const grant: Promise<Grant> = exchangeGrantCode({ clientId: 'a', clientSecret: 'b', grantCode: 'c' }, { signal: AbortSignal.timeout(1) });
export const asks = new Client({ token: async (refused) => (refused ? 'a' : 'b') });
// @ts-expect-error there is no such setting
const typo: ClientOptions = { dataCentre: 'eu' };
const client = new Client(options);
const contact = client.record('Contacts', '3652397000000649013');

export async function all(signal: AbortSignal): Promise<void> {
    const { id }: { id: string } = await contact.upload('a.pdf', { ifExists: 'skip', signal, onProgress: ({ done }) => done.toFixed() });
    await contact.upload(Readable.from([]), { name: 'a', length: 1 });
    await contact.upload(() => Readable.from([]), { name: 'a' });
    const toMemory: Buffer = (await contact.download(id)).data;
    // @ts-expect-error a download to a file has no data
    const none: Buffer = (await contact.download(id, 'a.pdf')).data;
    await contact.download(id, new Writable(), { maxBytes: 5 });
    for await (const attachment of contact.attachments({ fields: ['id'] })) {
        const one: Attachment = attachment;
        console.log(one.fileName, toMemory, none, typo);
    }
    for await (const { id: record } of client.records('Contacts', { perPage: 100, signal })) console.log(record.length);
    await contact.upload(async () => Readable.from([]), { name: 'a' });
    await contact.photo.upload(Buffer.alloc(1), { name: 'a.png', restrictTriggers: 'workflow' });
    await client.batch([{ key: 'a', step: { operation: 'attachment.list', module: 'Contacts', record_id: '1' } }], {
        onEnd: ({ error }) => error?.retryAfterMs,
    });
    try {
        await contact.photo.delete({ signal });
    } catch (error) {
        if (error instanceof ZcrmError) {
            const status: Status = error.code;
            if (status === 'ZCRM_E_NOT_FOUND') return;
            // @ts-expect-error there is no such status
            if (status === 'ZCRM_E_NOTFOUND') return;
        }
        throw error;
    }
}
