// A thread that makes calls of the library, one at a time. A call blocks it, and so do the questions that a call asks the thread which
// wanted it: for the next bytes of a stream, say. libuv's threads, which koffi's asynchronous calls run on, can't be blocked so: there are
// four in a process, and they are what reads the files that a stream comes from.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import * as koffi from 'koffi';
import { CONSTANTS } from './generated';
import {
    type Answer,
    type FromThread,
    type Job,
    type JobCall,
    type JobSink,
    type JobSource,
    type Outcome,
    type Question,
    type Start,
    type Target,
    THREAD,
} from './job';
import { type Address, library, struct, Unfit } from './library';

const { state, shared, answers, library: path } = workerData as Start;
const lib = library(path);
const tell = (message: FromThread) => parentPort?.postMessage(message);

const GO_ON = 0;
const STOP = 1;

// What zcrm_next_step_fn gives.
const NO_STEP = 0;
const A_STEP = 1;
const NO_STEP_STOP = 2;

/** Asks the other thread and waits. */
function ask(question: Question): Answer {
    tell(question);
    Atomics.wait(state, THREAD.answered, 0);
    Atomics.store(state, THREAD.answered, 0);
    return receiveMessageOnPort(answers)?.message ?? { stop: true };
}

/** What the stream gave and the library has not taken yet: a part of the shared memory. */
let left = shared.subarray(0, 0);

const read = lib.callback('read', (_user: unknown, buffer: Address, cap: number | bigint, n: Address) => {
    if (left.length === 0) {
        const answer = ask({ ask: 'read' });
        if (!('bytes' in answer)) return STOP;
        left = shared.subarray(0, answer.bytes);
    }
    const taken = left.subarray(0, Number(cap));
    new Uint8Array(koffi.view(buffer, taken.length)).set(taken);
    left = left.subarray(taken.length);
    koffi.encode(n, 'size_t', taken.length);
    return GO_ON;
});

const rewind = lib.callback('rewind', () => {
    left = shared.subarray(0, 0);
    return 'stop' in ask({ ask: 'rewind' }) ? STOP : GO_ON;
});

const write = lib.callback('write', (_user: unknown, buffer: Address, length: number | bigint) => {
    const bytes = new Uint8Array(koffi.view(buffer, Number(length)));
    for (let at = 0; at < bytes.length; at += shared.length) {
        const part = bytes.subarray(at, at + shared.length);
        shared.set(part);
        if ('stop' in ask({ ask: 'write', bytes: part.length })) return STOP;
    }
    return GO_ON;
});

const progress = lib.callback('progress', (_user: unknown, done: number | bigint, total: number | bigint) => {
    tell({ progress: { done: Number(done), total: Number(total) } });
    return GO_ON;
});

/** What `next` gave last: the library reads it until it asks again. */
let step: Buffer[] = [];
const text = koffi.struct({ ptr: 'void *', len: 'size_t' });

const next = lib.callback('next_step', (_user: unknown, ...places: [key: Address, json: Address]) => {
    const answer = ask({ ask: 'next' });
    if (!('step' in answer)) return NO_STEP_STOP;
    if (!answer.step) return NO_STEP;
    step = [Buffer.from(answer.step.key), Buffer.from(answer.step.json)];
    step.forEach((bytes, which) => {
        koffi.encode(places[which], text, { ptr: bytes.length === 0 ? null : koffi.address(bytes), len: bytes.length });
    });
    return A_STEP;
});

const ended = lib.callback('batch', (_user: unknown, key: Address, status: number, json: Address, fromJournal: number) => {
    const question: Question = {
        ask: 'ended',
        key: koffi.decode.string(key),
        json: koffi.decode.string(json),
        done: status === CONSTANTS.OK,
        fromJournal: fromJournal !== 0,
    };
    return 'stop' in ask(question) ? STOP : GO_ON;
});

const target = (to: Target) => struct('zcrm_target', { module: to.module, record_id: to.recordId, attachment_id: to.attachmentId });

function source(from: JobSource): Record<string, unknown> {
    if ('url' in from) return struct('zcrm_source', { kind: CONSTANTS.FROM_LINK, link_url: from.url, name: from.title });
    const named = { name: from.name, content_type: from.contentType };
    if ('path' in from) return struct('zcrm_source', { ...named, kind: CONSTANTS.FROM_FILE, path: from.path });
    if ('data' in from) {
        const data = from.data.length === 0 ? null : koffi.address(from.data);
        return struct('zcrm_source', { ...named, kind: CONSTANTS.FROM_MEMORY, data, data_len: from.data.length });
    }
    const reader = { kind: CONSTANTS.FROM_READER, length: from.length, read, rewind: from.again ? rewind : null };
    return struct('zcrm_source', { ...named, ...reader });
}

function sink(to: JobSink): Record<string, unknown> {
    const bounds = { flags: to.overwrite ? CONSTANTS.OVERWRITE : 0, max_bytes: to.maxBytes ?? 0 };
    if (to.path !== undefined) return struct('zcrm_sink', { ...bounds, kind: CONSTANTS.TO_FILE, path: to.path });
    return struct('zcrm_sink', { ...bounds, ...(to.writer ? { kind: CONSTANTS.TO_WRITER, write } : { kind: CONSTANTS.TO_MEMORY }) });
}

const callOf = (call: JobCall) =>
    struct('zcrm_call', {
        cancel: call.cancel,
        progress: call.progress ? progress : null,
        trace_id: call.traceId,
        expected_sha256: call.expectedSha256,
        expected_bytes: call.expectedBytes ?? 0,
        restrict_triggers: call.restrictTriggers,
        flags: call.flags,
    });

/** Makes the call; its status. */
function make(job: Job, result: unknown[], error: unknown[]): number {
    const call = callOf(job.call);
    const c = lib.call;
    switch (job.operation) {
        case 'attachment.upload':
            return c.attachment_upload(job.client, target(job.target), source(job.source), call, result, error);
        case 'photo.upload':
            return c.photo_upload(job.client, target(job.target), source(job.source), call, result, error);
        case 'attachment.download':
            return c.attachment_download(job.client, target(job.target), sink(job.sink), call, result, error);
        case 'photo.download':
            return c.photo_download(job.client, target(job.target), sink(job.sink), call, result, error);
        case 'attachment.delete':
            return c.attachment_delete(job.client, target(job.target), call, result, error);
        case 'photo.delete':
            return c.photo_delete(job.client, target(job.target), call, result, error);
        case 'attachment.list': {
            const args = { fields: job.fields, page_token: job.pageToken, page: job.page, per_page: job.perPage };
            return c.attachment_list(job.client, target(job.target), struct('zcrm_list_args', args), call, result, error);
        }
        case 'pages.next':
            return c.pages_next(job.pages, call, result, error);
        case 'auth.exchange':
            return c.auth_exchange(job.config, call, result, error);
        case 'step':
            return c.step_run(job.client, job.json, Buffer.byteLength(job.json), call, result, error);
        case 'batch': {
            const args = { journal: job.journal, credits: job.credits, parallel: job.parallel, ended: job.told ? ended : null };
            const refused = c.batch_set_source(job.batch, next, null, error);
            if (refused !== CONSTANTS.OK) return refused;
            return c.batch_run(job.client, job.batch, struct('zcrm_batch_args', args), call, result, error);
        }
    }
}

/** The bytes of a download to memory. */
function bytesOf(result: Address): Uint8Array | undefined {
    const [data, length] = [[null], [0]] as [[Address | null], [number | bigint]];
    if (lib.call.result_data(result, data, length, null) !== CONSTANTS.OK) return undefined;
    const n = Number(length[0]);
    return n === 0 || data[0] === null ? new Uint8Array(0) : new Uint8Array(koffi.view(data[0], n)).slice();
}

function run(job: Job): Outcome {
    left = shared.subarray(0, 0);
    const [result, error] = [[null], [null]] as [[Address | null], [Address | null]];
    try {
        if (make(job, result, error) !== CONSTANTS.OK) return { failed: lib.call.error_json(error[0]) };
        if (result[0] === null) return { json: undefined };
        const outcome: Outcome = { json: lib.call.result_json(result[0], null) };
        const data = 'sink' in job && !job.sink.path && !job.sink.writer ? bytesOf(result[0]) : undefined;
        return data ? { ...outcome, data } : outcome;
    } finally {
        if (result[0] !== null) lib.call.result_free(result[0]);
        if (error[0] !== null) lib.call.error_free(error[0]);
    }
}

function attempt(job: Job): Outcome {
    try {
        return run(job);
    } catch (thrown) {
        return thrown instanceof Unfit ? { unfit: { field: thrown.field, problem: thrown.problem } } : { thrown };
    }
}

parentPort?.on('message', (job: Job) => {
    const outcome = attempt(job);
    Atomics.store(state, THREAD.busy, 0);
    Atomics.notify(state, THREAD.busy);
    parentPort?.postMessage(outcome, 'data' in outcome && outcome.data ? [outcome.data.buffer as ArrayBuffer] : []);
});
