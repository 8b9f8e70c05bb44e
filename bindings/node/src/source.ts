import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { fileURLToPath } from 'node:url';
import type { Answers } from './call';
import { argument, refused } from './error';
import type { Answer, JobSource, Question } from './job';

/** A stream of bytes: a Readable, a web stream, or an async generator. */
export type Stream = AsyncIterable<Uint8Array | string>;

/**
 * Where the bytes of an upload come from: the path of a file, bytes, or a stream. A function that opens the stream lets the library open it
 * again when an attempt must be repeated.
 */
export type Source = string | URL | Uint8Array | Stream | (() => Stream | Promise<Stream>);

/** How a source is named. */
export interface SourceOptions {
    /** File name as Zoho shall store it. A path and a file's stream have one. */
    name?: string | undefined;
    /** MIME type of the bytes. */
    contentType?: string | undefined;
    /** Bytes that a stream will give. Without it they are counted first, in a temporary file. */
    length?: number | undefined;
}

/** A source that is ready for one call. */
export interface Opened {
    source: JobSource;
    answer: Answers;
    /** Lets go of a stream that the call has not read to its end. */
    close(): void;
}

const silent = { answer: async (): Promise<Answer> => ({ stop: true }), close() {} };

export function open(operation: string, from: Source, options: SourceOptions): Opened {
    const named = {
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.contentType === undefined ? {} : { contentType: options.contentType }),
    };
    if (typeof from === 'string') return { source: { path: from, ...named }, ...silent };
    if (from instanceof URL) return { source: { path: fileURLToPath(from), ...named }, ...silent };
    // A copy, which nobody changes while it is sent, and which can be handed to the thread.
    if (from instanceof Uint8Array) return { source: { data: new Uint8Array(from), name: '', ...named }, ...silent };
    const again = typeof from === 'function';
    const stream = again ? from : () => from;
    if (!again && typeof from?.[Symbol.asyncIterator] !== 'function') {
        throw argument(operation, 'source', 'is no path, Uint8Array, stream or function that opens one');
    }
    const { length = -1 } = options;
    if (options.length !== undefined && !(Number.isSafeInteger(length) && length >= 0)) {
        throw argument(operation, 'length', `is ${length}; it takes a whole number from 0`);
    }
    // It may fail before it is read, while the call waits: that is told when it is read.
    if (from instanceof Readable) from.on('error', () => {});
    const reading = new Reading(operation, stream);
    const name = from instanceof Readable && 'path' in from ? basename(String(from.path)) : '';
    return {
        source: { length, again, name, ...named },
        answer: (question, shared) => reading.answer(question, shared),
        close: () => reading.close(),
    };
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** A stream that is read as the library asks for it. */
class Reading {
    readonly #operation: string;
    readonly #open: () => Stream | Promise<Stream>;
    #stream: Stream | undefined;
    #encoding: BufferEncoding | undefined;
    #chunks: AsyncIterator<Uint8Array | string> | undefined;
    /** What of a chunk didn't fit into the shared memory. */
    #left = NOTHING;

    constructor(operation: string, open: () => Stream | Promise<Stream>) {
        this.#operation = operation;
        this.#open = open;
    }

    async answer(question: Question, shared: Uint8Array): Promise<Answer> {
        if (question.ask === 'rewind') {
            this.close();
            return {};
        }
        if (this.#left.length === 0) this.#left = await this.#next();
        const taken = this.#left.subarray(0, shared.length);
        shared.set(taken);
        this.#left = this.#left.subarray(taken.length);
        return { bytes: taken.length };
    }

    /** The next bytes; none are the end. */
    async #next(): Promise<Uint8Array> {
        this.#chunks ??= await this.#begin();
        for (;;) {
            const { done, value } = await this.#chunks.next();
            if (done) return NOTHING;
            const chunk = typeof value === 'string' ? Buffer.from(value, this.#encoding) : value;
            if (!(chunk instanceof Uint8Array)) throw new TypeError('the stream gives something else than bytes');
            if (chunk.length > 0) return chunk;
        }
    }

    close(): void {
        // A stream that waits for its next bytes ends only by destroy.
        if (this.#stream instanceof Readable) this.#stream.destroy();
        else this.#chunks?.return?.().catch(() => {});
        this.#stream = undefined;
        this.#chunks = undefined;
        this.#left = NOTHING;
    }

    async #begin(): Promise<AsyncIterator<Uint8Array | string>> {
        const opened = await this.#open();
        // As a web stream itself it could not be let go while it waits for its next bytes.
        const stream = opened instanceof ReadableStream ? Readable.fromWeb(opened) : opened;
        if (typeof stream?.[Symbol.asyncIterator] !== 'function') throw argument(this.#operation, 'source', 'is a function that opens no stream');
        // It would seem to be an empty file.
        if (stream instanceof Readable && (stream.readableEnded || (stream.destroyed && !stream.errored))) {
            throw refused(this.#operation, 'ZCRM_E_SOURCE_CONSUMED', 'stream_ended', 'the stream was read to its end, or destroyed, before');
        }
        this.#stream = stream;
        this.#encoding = (stream instanceof Readable && stream.readableEncoding) || undefined;
        return stream[Symbol.asyncIterator]();
    }
}
