import type { MessagePort } from 'node:worker_threads';

/** What a thread is started with. */
export interface Start {
    library: string;
    /** A number for each of `THREAD`. */
    state: Int32Array;
    /** What carries the bytes of streams between the threads, so that they leave no garbage behind. */
    shared: Uint8Array;
    answers: MessagePort;
}

export interface Target {
    module: string;
    recordId: string;
    attachmentId?: string;
}

/** Where the bytes of an upload come from. */
export type JobSource =
    | { path: string; name?: string; contentType?: string }
    | { data: Uint8Array; name: string; contentType?: string }
    | { length: number; again: boolean; name: string; contentType?: string }
    | { url: string; title?: string };

/** Where the bytes of a download go: none of them is a Buffer. */
export interface JobSink {
    path?: string;
    writer?: boolean;
    overwrite?: boolean;
    maxBytes?: number;
}

/** What applies to one call. */
export interface JobCall {
    cancel: bigint;
    flags: number;
    progress: boolean;
    traceId?: string;
    expectedSha256?: string;
    expectedBytes?: number;
    restrictTriggers?: string;
}

/** One call of the library. Handles travel as addresses. */
export type Job = { call: JobCall } & (OfClient | { operation: 'auth.exchange'; config: bigint });

type OfClient = { client: bigint } & (
    | { operation: 'attachment.upload' | 'photo.upload'; target: Target; source: JobSource }
    | { operation: 'attachment.download' | 'photo.download'; target: Target; sink: JobSink }
    | { operation: 'attachment.delete' | 'photo.delete'; target: Target }
    | { operation: 'attachment.list'; target: Target; fields: string; pageToken: string; page: number; perPage: number }
    | { operation: 'pages.next'; pages: bigint }
    | { operation: 'step'; json: string }
    | { operation: 'batch'; batch: bigint; journal: string; parallel: number; credits: number; told: boolean }
);

/** What a thread asks while it is in a call, and waits to be answered. `bytes` is how many lie in the shared memory. */
export type Question =
    | { ask: 'read' }
    | { ask: 'rewind' }
    | { ask: 'write'; bytes: number }
    | { ask: 'next' }
    | { ask: 'ended'; key: string; json: string; done: boolean; fromJournal: boolean };

/** `stop` ends the call. 0 bytes are the end of a stream, and no step that of a batch. */
export type Answer = { stop: true } | { bytes: number } | { step: { key: string; json: string } | undefined } | Record<string, never>;

/** How a call ended. */
export type Outcome =
    | { failed: string }
    | { unfit: { field: string; problem: string } }
    | { thrown: unknown }
    | { json: string | undefined; data?: Uint8Array };

export type FromThread = Question | { progress: { done: number; total: number } } | Outcome;

/** What the thread of the hooks says. */
export type Told = { level: number; line: string } | { asked: { refused: boolean; most: number } };
/** What it is answered. */
export type TokenAnswer = { token: Uint8Array } | { failed: number };

/** What the thread of the hooks is started with. `state` has a number for each of `HOOKS`. */
export interface HooksStart {
    library: string;
    addresses: BigInt64Array;
    state: Int32Array;
    port: MessagePort;
}

/** What the numbers of `HooksStart.state` say: 1 when an answer lies at the port, when the functions are there, when no token is given any more. */
export const HOOKS = { answered: 0, ready: 1, closed: 2 } as const;
/** What those of `Start.state` say: 1 when an answer lies at the port, while the thread has a call. */
export const THREAD = { answered: 0, busy: 1 } as const;
