import { argument, failed, refused, ZcrmError } from './error';
import { CONSTANTS, type Effort } from './generated';
import type { Hooks } from './hooks';
import type { Answer, Job, JobCall, Outcome, Question } from './job';
import { Handle, library } from './library';
import type { Places } from './places';
import { onThread } from './threads';

/** What applies to one call. */
export interface CallOptions {
    /** Ends the call. It fails with `ZCRM_E_CANCELLED`, whose `cause` is the signal's reason. */
    signal?: AbortSignal | undefined;
    /** Told how far a transfer is, about ten times a second; `total` is undefined when it isn't known. What it throws ends the call. */
    onProgress?: ((progress: { done: number; total: number | undefined }) => void) | undefined;
    /** Gives the SHA-256 of the bytes with the result. */
    sha256?: boolean | undefined;
    /** This very call may have been made before, as when a queue delivers a job twice: what it does is looked for first, and isn't done twice. */
    again?: boolean | undefined;
    /** Stands in the library's log lines of this call. */
    traceId?: string | undefined;
}

/** What some operations take of a call beside. */
export interface Extras {
    ifExists?: 'skip' | 'skip_same_bytes' | undefined;
    expectedSha256?: string | undefined;
    expectedBytes?: number | undefined;
    restrictTriggers?: string | undefined;
}

export type Answers = (question: Question, shared: Uint8Array) => Promise<Answer>;
/** What a call that succeeded gives. */
export type Done = { json: string | undefined; data?: Uint8Array };

const none: Answers = async () => ({ stop: true });

const cancelled = (operation: string, cause: unknown): ZcrmError =>
    refused(operation, 'ZCRM_E_CANCELLED', 'cancelled', 'the call was cancelled before anything was sent', { cause });

function newCancel(): Handle {
    const out: [bigint | null] = [null];
    if (library().call.cancel_new(out) !== CONSTANTS.OK || out[0] === null) throw new Error('zcrm: there is no memory for a cancel token');
    return new Handle(out[0], (address) => library().call.cancel_free(address));
}

/** What an option must be, where nothing else would find out. */
function checked(operation: string, { signal, onProgress, ifExists }: CallOptions & Extras): void {
    if (signal && (typeof signal.aborted !== 'boolean' || typeof signal.addEventListener !== 'function')) {
        throw argument(operation, 'signal', 'is no AbortSignal');
    }
    if (onProgress && typeof onProgress !== 'function') throw argument(operation, 'onProgress', `is no function but ${typeof onProgress}`);
    if (ifExists && !IF_EXISTS.includes(ifExists)) throw argument(operation, 'ifExists', `is ${ifExists}; it takes ${IF_EXISTS.join(', ')}`);
}

const IF_EXISTS = ['skip', 'skip_same_bytes'];

function jobCall(cancel: Handle, options: CallOptions & Extras): JobCall {
    const flags =
        (options.sha256 ? CONSTANTS.CALL_SHA256 : 0) |
        (options.again ? CONSTANTS.CALL_AGAIN : 0) |
        (options.expectedBytes === undefined ? 0 : CONSTANTS.CALL_EXPECT_BYTES) |
        (options.ifExists === 'skip' ? CONSTANTS.CALL_SKIP_EXISTING : 0) |
        (options.ifExists === 'skip_same_bytes' ? CONSTANTS.CALL_SKIP_SAME_BYTES : 0);
    const { traceId, expectedSha256, expectedBytes, restrictTriggers } = options;
    const given = Object.entries({ traceId, expectedSha256, expectedBytes, restrictTriggers }).filter(([, value]) => value !== undefined);
    return { cancel: cancel.address, flags, progress: options.onProgress !== undefined, ...Object.fromEntries(given) };
}

/** A call that was stopped while it waited for the caller ended by what it was answered: that isn't the caller's failure. */
function failure(operation: string, json: string, cause: unknown, stopped: boolean): ZcrmError {
    const error = failed(operation, json, cause);
    if (cause instanceof ZcrmError && error.code === 'ZCRM_E_CALLBACK') return cause;
    if (!stopped || error.code !== 'ZCRM_E_CALLBACK') return error;
    return failed(operation, JSON.stringify({ ...JSON.parse(json), ...CANCELLED }), cause);
}

const CANCELLED = { name: 'ZCRM_E_CANCELLED', status: CONSTANTS.E_CANCELLED, reason: 'cancelled', message: 'the caller cancelled the call' };

/** Makes one call: waits for a place, hands it to a thread, and answers what that asks. */
export async function perform(
    places: Places,
    hooks: Hooks | undefined,
    operation: string,
    options: CallOptions & Extras,
    makeJob: (call: JobCall) => Job,
    answers: Answers = none,
): Promise<Done> {
    checked(operation, options);
    const { signal, onProgress } = options;
    await places.take(signal).catch((reason) => {
        throw cancelled(operation, reason);
    });
    if (signal?.aborted) {
        places.give();
        throw cancelled(operation, signal.reason);
    }
    const cancel = newCancel();
    let cause: unknown;
    let stop = () => {};
    let stopped = false;
    const fail = (error: unknown) => {
        cause ??= error;
        if (stopped) return;
        stopped = true;
        stop();
        hooks?.stops();
    };
    const aborted = () => fail(signal?.reason);
    signal?.addEventListener('abort', aborted, { once: true });
    const caller = {
        answer: (question: Question, shared: Uint8Array) =>
            places.whileLent(answers(question, shared)).catch((error): Answer => {
                cause ??= error;
                return { stop: true };
            }),
        progress(done: number, total: number) {
            try {
                const told: unknown = onProgress?.({ done, total: total < 0 ? undefined : total });
                if (told instanceof Promise) told.catch(fail);
            } catch (error) {
                fail(error);
            }
        },
    };
    hooks?.begins();
    try {
        const outcome: Outcome = await onThread(makeJob(jobCall(cancel, options)), caller, (ends) => {
            stop = ends;
        });
        if ('failed' in outcome) throw failure(operation, outcome.failed, cause, stopped);
        if ('unfit' in outcome) throw argument(operation, outcome.unfit.field, outcome.unfit.problem);
        if ('thrown' in outcome) throw outcome.thrown;
        return outcome;
    } finally {
        signal?.removeEventListener('abort', aborted);
        hooks?.ends(stopped);
        cancel.free();
        places.give();
    }
}

/** The `result` of an operation's JSON, with what the call took. */
export function withEffort<T extends object>(json: { result: T } & Effort): T & Effort {
    const { result, ...rest } = json;
    const { operation: _, ...effort } = rest as Effort & { operation?: string };
    return { ...result, ...effort };
}
