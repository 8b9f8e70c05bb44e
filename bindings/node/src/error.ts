import { CONSTANTS, type Failure, type Status } from './generated';

/** A failed operation. It never holds a token, a secret or bytes of a file. */
export class ZcrmError extends Error {
    /** The class of the failure, such as `ZCRM_E_NOT_FOUND`. */
    readonly code: Status;
    /** The operation, such as `attachment.upload`. */
    readonly operation: string;
    readonly status: number;
    /** A stable word for the exact reason, such as `photo_pixels`: finer than the code. */
    readonly reason: string;
    /** The parameter or setting that is wrong. */
    readonly field: string | undefined;
    /** HTTP status of the last reply; 0: there was none. */
    readonly httpStatus: number;
    /** Zoho's own code, such as `INVALID_DATA`, or empty. */
    readonly apiCode: string;
    readonly apiMessage: string;
    /** Zoho's details, as it sent them. */
    readonly details: unknown;
    /** Whether the same call may succeed later. */
    readonly retryable: boolean;
    /** Milliseconds to wait before; undefined: nothing is known. */
    readonly retryAfterMs: number | undefined;
    /** Whether it may be done although the call failed: look at the record before it is done again. */
    readonly outcomeOpen: boolean;
    /** With `ZCRM_E_OUTCOME_UNKNOWN`: ids of the attachments that the upload may have become. */
    readonly candidates: string[];
    readonly requestSent: Failure['requestSent'];
    readonly attempts: number;
    readonly waitedMs: number;
    /** errno of a local failure; 0: none. */
    readonly osError: number;

    /** `cause` is what a stream or a function of the caller failed with, or why the signal was aborted. */
    constructor(operation: string, failure: Failure, cause?: unknown) {
        const why = failure.name === 'ZCRM_E_CALLBACK' && cause instanceof Error ? `: ${cause.message}` : '';
        super(`${operation}: ${failure.message}${why}`, cause === undefined ? undefined : { cause });
        // As of other functions that take a signal.
        this.name = failure.name === 'ZCRM_E_CANCELLED' ? 'AbortError' : 'ZcrmError';
        this.code = failure.name as Status;
        this.operation = operation;
        this.status = failure.status;
        this.reason = failure.reason;
        this.field = failure.field ?? undefined;
        this.httpStatus = failure.httpStatus;
        this.apiCode = failure.apiCode;
        this.apiMessage = failure.apiMessage;
        this.details = failure.details;
        this.retryable = failure.retryable;
        this.retryAfterMs = failure.retryAfterMs < 0 ? undefined : failure.retryAfterMs;
        this.outcomeOpen = failure.outcomeOpen;
        this.candidates = failure.candidates ?? [];
        this.requestSent = failure.requestSent;
        this.attempts = failure.attempts;
        this.waitedMs = failure.waitedMs;
        this.osError = failure.osError;
    }
}

const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** What the library says, with the names of JavaScript. Zoho's own `details` stay as they are. */
export function renamed<T>(value: unknown): T {
    if (Array.isArray(value)) return value.map((item) => renamed(item)) as T;
    if (value === null || typeof value !== 'object') return value as T;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [camel(name), name === 'details' ? inner : renamed(inner)])) as T;
}

/** What a hook has thrown, by the number that the library was given in its place: calls that wait for one token share its failure. */
const kept = new Map<number, unknown>();
const KEPT = 256;
let numbers = 1000; // above every status

/** Keeps what a hook has thrown for the error of its call. */
export function keep(thrown: unknown): number {
    kept.set(++numbers, thrown);
    kept.delete(numbers - KEPT);
    return numbers;
}

/** The error of a call that failed. */
export function failed(operation: string, json: string, cause?: unknown): ZcrmError {
    const failure = renamed<Failure>(JSON.parse(json));
    return new ZcrmError(operation, failure, cause ?? kept.get(failure.callbackStatus));
}

/** What a failure that is met before the library is asked has in common with all others. */
const NOTHING_SENT: Omit<Failure, 'status' | 'name' | 'reason' | 'message'> = {
    httpStatus: 0,
    apiCode: '',
    apiMessage: '',
    retryable: false,
    retryAfterMs: -1,
    outcomeOpen: false,
    requestSent: 'no',
    attempts: 0,
    waitedMs: 0,
    callbackStatus: 0,
    osError: 0,
};

/** A failure that is met before the library is asked. */
export function refused(operation: string, name: Status, reason: string, message: string, rest: { field?: string; cause?: unknown } = {}): ZcrmError {
    const status = CONSTANTS[name.slice('ZCRM_'.length) as keyof typeof CONSTANTS];
    return new ZcrmError(operation, { ...NOTHING_SENT, name, status, reason, message, field: rest.field ?? null }, rest.cause);
}

/** A parameter that the library can't be asked with. */
export const argument = (operation: string, field: string, problem: string): ZcrmError =>
    refused(operation, 'ZCRM_E_ARGUMENT', 'argument', `${camel(field)}: ${problem}`, { field: camel(field) });
