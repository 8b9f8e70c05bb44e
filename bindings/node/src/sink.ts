import { once } from 'node:events';
import { finished, type Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Answers } from './call';
import { argument } from './error';
import type { Answer, JobSink, Question } from './job';

/** Where the bytes of a download go: a file, which appears only when it is complete, or a stream. */
export type Sink = string | URL | Writable;

export interface SinkOptions {
    /** A file that exists is replaced. */
    overwrite?: boolean | undefined;
    /** Most bytes to take. */
    maxBytes?: number | undefined;
    /** Whether a stream is ended when it has all bytes. Default: true. When the download fails it is left as it is. */
    end?: boolean | undefined;
}

/** A sink that is ready for one call. */
export interface OpenedSink {
    sink: JobSink;
    answer: Answers;
    /** Resolves when the stream has written what it was given. */
    finish(): Promise<void>;
    close(): void;
}

const silent = { answer: async (): Promise<Answer> => ({ stop: true }), finish: async () => {}, close() {} };

export function openSink(operation: string, to: Sink | undefined, options: SinkOptions): OpenedSink {
    const bounds = { overwrite: options.overwrite ?? false, ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }) };
    if (to === undefined) return { sink: bounds, ...silent };
    if (typeof to === 'string') return { sink: { path: to, ...bounds }, ...silent };
    if (to instanceof URL) return { sink: { path: fileURLToPath(to), ...bounds }, ...silent };
    if (typeof to?.write !== 'function') {
        throw argument(operation, 'sink', 'is no path and no Writable');
    }
    const writing = new Writing(to, options.end ?? true);
    return {
        sink: { writer: true, ...bounds },
        answer: (question, shared) => writing.answer(question, shared),
        finish: () => writing.finish(),
        close: () => writing.close(),
    };
}

/** A Writable that gets the bytes as fast as it takes them. */
class Writing {
    readonly #stream: Writable;
    readonly #end: boolean;
    readonly #over: Promise<void>;
    readonly #forget: () => void;
    readonly #waiting = new AbortController();

    constructor(stream: Writable, end: boolean) {
        this.#stream = stream;
        this.#end = end;
        let forget = () => {};
        this.#over = new Promise((resolve, reject) => {
            forget = finished(stream, { readable: false }, (error) => (error ? reject(error) : resolve()));
        });
        this.#over.catch(() => {});
        this.#forget = forget;
    }

    async answer(question: Question, shared: Uint8Array): Promise<Answer> {
        if (question.ask !== 'write') return { stop: true };
        if (this.#stream.writableEnded || this.#stream.destroyed) {
            await this.#over; // its error, if it has one
            throw new Error('the stream was ended before the download');
        }
        // A copy, as the stream may keep it.
        if (!this.#stream.write(Buffer.from(shared.subarray(0, question.bytes)))) {
            await drained(this.#stream, this.#over, this.#waiting.signal);
        }
        return {};
    }

    async finish(): Promise<void> {
        if (!this.#end) return;
        this.#stream.end();
        await this.#over;
    }

    close(): void {
        this.#waiting.abort();
        this.#forget();
    }
}

/** Resolves when the stream takes more, and rejects when it is over. Leaves no listener behind. */
async function drained(stream: Writable, over: Promise<void>, signal: AbortSignal): Promise<void> {
    const either = new AbortController();
    const stop = () => either.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
        await Promise.race([once(stream, 'drain', { signal: either.signal }), over]);
    } finally {
        signal.removeEventListener('abort', stop);
        stop();
    }
}
