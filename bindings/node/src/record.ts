import { type CallOptions, withEffort } from './call';
import type { Client } from './client';
import { argument, renamed } from './error';
import type { Attachment, Downloaded, Effort, Page, PhotoUploaded, Uploaded } from './generated';
import type { Target } from './job';
import { type Address, library, struct } from './library';
import { made } from './settings';
import { openSink, type Sink, type SinkOptions } from './sink';
import { open, type Source, type SourceOptions } from './source';

export interface UploadOptions extends CallOptions, SourceOptions {
    /** The SHA-256 that the bytes must have, as 64 hexadecimal digits: with others nothing is stored. */
    expectedSha256?: string | undefined;
}

export interface AttachmentUploadOptions extends UploadOptions {
    /** An attachment of the same name and size ("skip"), and the same bytes, is the result, and nothing is sent. Costs one list. */
    ifExists?: 'skip' | 'skip_same_bytes' | undefined;
}

export interface PhotoUploadOptions extends UploadOptions {
    /** "workflow" keeps workflows from being triggered. */
    restrictTriggers?: string | undefined;
}

export interface LinkOptions extends CallOptions {
    /** Title of the link; the page's own when not given. */
    title?: string | undefined;
    ifExists?: 'skip' | undefined;
}

export interface DownloadOptions extends CallOptions, SinkOptions {
    /** The size that the file must have, as the list said. */
    expectedBytes?: number | undefined;
    /** The SHA-256 that the bytes must have. */
    expectedSha256?: string | undefined;
}

export interface WalkOptions extends CallOptions {
    /** API names of the fields to ask for; those of {@link Attachment} when not given. */
    fields?: string[] | undefined;
    /** Attachments a page, at most 200. */
    perPage?: number | undefined;
}

export interface RecordsOptions extends CallOptions {
    /** Records a page, at most 200. */
    perPage?: number | undefined;
}

export interface ListOptions extends WalkOptions {
    /** Number of the page, from 1. */
    page?: number | undefined;
    /** In place of `page`: `nextPageToken` of the page before. */
    pageToken?: string | undefined;
}

const parsed = <T>(outcome: { json: string | undefined }): T => renamed(JSON.parse(outcome.json ?? 'null'));

function fieldsOf(fields: unknown): string {
    if (fields === undefined) return '';
    if (!Array.isArray(fields)) throw argument('attachment.list', 'fields', `is no array but ${typeof fields}`);
    return fields.join(',');
}

/** A row of the CRM. */
export class CrmRecord {
    readonly #client: Client;
    readonly #target: Target;
    readonly photo: Photo;

    /** @internal */
    constructor(client: Client, module: string, id: string) {
        this.#client = client;
        this.#target = { module, recordId: id };
        this.photo = new Photo(client, this.#target);
    }

    get module(): string {
        return this.#target.module;
    }

    get id(): string {
        return this.#target.recordId;
    }

    /**
     * Attaches a file. An upload isn't repeated blindly: when its reply is lost and nothing settles it, it fails with
     * `ZCRM_E_OUTCOME_UNKNOWN`. https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html
     */
    upload(source: Source, options: AttachmentUploadOptions = {}): Promise<Uploaded> {
        return upload(this.#client, 'attachment.upload', this.#target, source, options);
    }

    /** Attaches a link. */
    async link(url: string | URL, options: LinkOptions = {}): Promise<Uploaded> {
        const operation = 'attachment.upload';
        const source = { url: String(url), ...(options.title === undefined ? {} : { title: options.title }) };
        const outcome = await this.#client.perform(operation, options, (on) => ({ operation, ...on, target: this.#target, source }));
        return withEffort(parsed<{ result: Uploaded } & Effort>(outcome));
    }

    /** One page of the attachments. https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html */
    async list(options: ListOptions = {}): Promise<Page> {
        const operation = 'attachment.list';
        const { pageToken = '', page = pageToken ? 0 : 1, perPage = 0 } = options;
        const args = { target: this.#target, fields: fieldsOf(options.fields), pageToken, page, perPage };
        const outcome = await this.#client.perform(operation, options, (on) => ({ operation, ...on, ...args }));
        return withEffort(parsed<{ result: Page } & Effort>(outcome));
    }

    /**
     * All attachments. A page is asked for when the loop gets there. Each comes once, also when the list changes meanwhile, and a loop that
     * deletes leaves none behind.
     */
    async *attachments(options: WalkOptions = {}): AsyncGenerator<Attachment, void, undefined> {
        const target = struct('zcrm_target', { module: this.module, record_id: this.id });
        const args = struct('zcrm_list_args', { fields: fieldsOf(options.fields), per_page: options.perPage });
        const begin: Begin = (client, out, error) => library().call.pages_new(client, target, args, out, error);
        for await (const page of pages<Page>(this.#client, 'attachment.list', options, begin)) yield* page.attachments;
    }

    /**
     * Downloads an attachment: to memory, to a file, or to a stream. Once a stream has bytes nothing is tried again; a file appears only when
     * it is complete. https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html
     */
    download(attachmentId: string, options?: DownloadOptions): Promise<Downloaded & { data: Buffer }>;
    download(attachmentId: string, to: Sink, options?: DownloadOptions): Promise<Downloaded>;
    download(attachmentId: string, ...rest: unknown[]): Promise<Downloaded & { data?: Buffer }> {
        return download(this.#client, 'attachment.download', { ...this.#target, attachmentId }, rest);
    }

    /** Deletes attachments. Where one fails the others are deleted all the same, and the error names both. */
    async delete(attachmentIds: string | string[], options: CallOptions = {}): Promise<Effort & { ids: string[] }> {
        const operation = 'attachment.delete';
        const ids = [attachmentIds].flat();
        if (ids.some((id) => typeof id !== 'string')) throw argument(operation, 'attachmentId', "is no text; an id doesn't fit a number");
        const target = { ...this.#target, attachmentId: ids.join(',') };
        const outcome = await this.#client.perform(operation, options, (on) => ({ operation, ...on, target }));
        return withEffort(parsed<{ result: { ids: string[] } } & Effort>(outcome));
    }
}

type Begin = (client: Address, out: [Address | null], error: [Address | null]) => number;

/** The pages of a list, each asked for when the loop gets there. */
async function* pages<T>(client: Client, operation: string, options: CallOptions, begin: Begin): AsyncGenerator<T, void, undefined> {
    const { address } = client.open(operation);
    const walk = made(operation, (out, error) => begin(address, out, error), library().call.pages_free);
    try {
        for (;;) {
            const outcome = await client.perform(operation, options, (on) => ({ operation: 'pages.next', ...on, pages: walk.address }));
            if (outcome.json === undefined) return;
            yield parsed<{ result: T }>(outcome).result;
        }
    } finally {
        walk.free();
    }
}

/** The records of a module: see {@link Client.records}. */
export async function* records(client: Client, module: string, options: RecordsOptions): AsyncGenerator<CrmRecord, void, undefined> {
    const args = struct('zcrm_list_args', { per_page: options.perPage });
    const begin: Begin = (address, out, error) => library().call.record_pages_new(address, module, Buffer.byteLength(module), args, out, error);
    for await (const page of pages<{ recordIds: string[] }>(client, 'record.list', options, begin)) {
        for (const id of page.recordIds) yield new CrmRecord(client, module, id);
    }
}

/** The photo of a record. */
export class Photo {
    readonly #client: Client;
    readonly #target: Target;

    /** @internal */
    constructor(client: Client, target: Target) {
        this.#client = client;
        this.#target = target;
    }

    /** Sets the photo: a PNG, JPEG, GIF or BMP. https://www.zoho.com/crm/developer/docs/api/v8/upload-image.html */
    upload(source: Source, options: PhotoUploadOptions = {}): Promise<PhotoUploaded> {
        return upload(this.#client, 'photo.upload', this.#target, source, options);
    }

    /** Downloads the photo: to memory, to a file, or to a stream. https://www.zoho.com/crm/developer/docs/api/v8/download-image.html */
    download(options?: DownloadOptions): Promise<Downloaded & { data: Buffer }>;
    download(to: Sink, options?: DownloadOptions): Promise<Downloaded>;
    download(...rest: unknown[]): Promise<Downloaded & { data?: Buffer }> {
        return download(this.#client, 'photo.download', this.#target, rest);
    }

    /** Deletes the photo. https://www.zoho.com/crm/developer/docs/api/v8/delete-image.html */
    async delete(options: CallOptions = {}): Promise<Effort> {
        const operation = 'photo.delete';
        const outcome = await this.#client.perform(operation, options, (on) => ({ operation, ...on, target: this.#target }));
        return withEffort(parsed<{ result: object } & Effort>(outcome));
    }
}

async function upload<T extends object>(
    client: Client,
    operation: 'attachment.upload' | 'photo.upload',
    target: Target,
    from: Source,
    options: UploadOptions,
): Promise<T & Effort> {
    const { source, answer, close } = open(operation, from, options);
    try {
        return withEffort(
            parsed<{ result: T } & Effort>(await client.perform(operation, options, (on) => ({ operation, ...on, target, source }), answer)),
        );
    } finally {
        close();
    }
}

async function download(
    client: Client,
    operation: 'attachment.download' | 'photo.download',
    target: Target,
    [first, second]: unknown[],
): Promise<Downloaded & { data?: Buffer }> {
    const toMemory = first === undefined || (first !== null && Object.getPrototypeOf(first) === Object.prototype);
    const options = ((toMemory ? first : second) ?? {}) as DownloadOptions;
    const { sink, answer, finish, close } = openSink(operation, toMemory ? undefined : (first as Sink), options);
    try {
        const outcome = await client.perform(operation, options, (on) => ({ operation, ...on, target, sink }), answer);
        await finish();
        const result = withEffort(parsed<{ result: Downloaded } & Effort>(outcome));
        return outcome.data ? { ...result, data: Buffer.from(outcome.data.buffer as ArrayBuffer) } : result;
    } finally {
        close();
    }
}
