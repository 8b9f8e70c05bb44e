import { type Answers, type CallOptions, type Done, type Extras, perform } from './call';
import { argument, failed, refused, renamed, type ZcrmError } from './error';
import type { BatchSummary } from './generated';
import { type ClientHooks, Hooks } from './hooks';
import type { Answer, Job, JobCall, Question } from './job';
import { type Address, type Handle, library } from './library';
import { Places } from './places';
import { CrmRecord, type RecordsOptions, records } from './record';
import { made, newClient, type ProfileOptions, type Settings } from './settings';

/** How many calls of a client are in the library at once when nobody says otherwise: more than `max_in_flight`, as some wait. */
export const DEFAULT_MAX_CALLS = 8;

export interface ClientOptions extends Settings, ProfileOptions, ClientHooks {
    /**
     * Most calls of this client in the library at once, each on a thread. Further ones wait in line, where they hold none. What Zoho is sent
     * at once is bounded by `maxInFlight`.
     */
    maxCalls?: number | undefined;
}

/** A step as {@link describe} has it: one operation as JSON. */
export type Step = { operation: string } & Record<string, unknown>;

/** A step of a batch; its key is another one for each step, and the same when the batch is run again. */
export interface BatchStep {
    key: string;
    step: Step;
}

/** How a step of a batch ended. */
export interface BatchEnd {
    key: string;
    /** It was done in an earlier run. */
    fromJournal: boolean;
    /** The step's output, if it is done. */
    output?: Record<string, unknown>;
    /** Why it isn't. */
    error?: ZcrmError;
}

export interface BatchOptions extends CallOptions {
    /** Path of a file that remembers what was begun and done, so that a killed run can be gone on with. */
    journal?: string | undefined;
    /** Steps at once; 4 when not given. */
    parallel?: number | undefined;
    /** API calls after which no further step is begun. */
    credits?: number | undefined;
    /** Told how each step ended. The batch waits for the promise that it gives; what it throws ends the batch. */
    onEnd?: ((end: BatchEnd) => unknown) | undefined;
}

/** A configured connection to one CRM organisation. */
export class Client {
    readonly #places: Places;
    readonly #hooks: Hooks | undefined;
    readonly #handle: Handle;
    #running = 0;
    #closed = false;

    constructor({ maxCalls = DEFAULT_MAX_CALLS, log, logLevel, token, ...settings }: ClientOptions) {
        if (!Number.isSafeInteger(maxCalls) || maxCalls < 1) {
            throw argument('client', 'maxCalls', `is ${maxCalls}; it takes a whole number from 1`);
        }
        this.#places = new Places(maxCalls);
        this.#hooks = Hooks.of({ log, logLevel, token });
        this.#handle = newClient(settings, this.#hooks);
    }

    /** The record of a module, such as "Contacts", with an id of digits. */
    record(module: string, id: string): CrmRecord {
        for (const [field, text] of Object.entries({ module, id })) {
            if (typeof text !== 'string') throw argument('record', field, `is no text but ${typeof text}; an id doesn't fit a number`);
        }
        return new CrmRecord(this, module, id);
    }

    /**
     * All records of a module. A page, which costs an API credit, is asked for when the loop gets there. Zoho lists the first 100,000 records
     * of a module: one that has more fails with `ZCRM_E_PAGE` and the reason "pages_exhausted".
     * https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
     */
    records(module: string, options: RecordsOptions = {}): AsyncGenerator<CrmRecord, void, undefined> {
        if (typeof module !== 'string') throw argument('record.list', 'module', `is no text but ${typeof module}`);
        return records(this, module, options);
    }

    /**
     * Runs one operation given as JSON, as a workflow does: its input is taken as untrusted, and names files only below `allowPaths`.
     * {@link describe} has the schemas of input and output.
     */
    async runStep(step: Step, options: CallOptions = {}): Promise<Record<string, unknown>> {
        const json = JSON.stringify(step);
        if (json === undefined) throw argument('step', 'step', 'is missing');
        const outcome = await this.perform(step.operation, options, (on) => ({ operation: 'step', ...on, json }));
        return JSON.parse(outcome.json ?? 'null');
    }

    /**
     * Runs steps, several at once, and asks `steps` for the next when there is room for it: there may be any number. One that fails is told to `onEnd`, and the batch goes on; it is done when `left` is 0. Run again with its
     * journal, it goes on where it was. An abort gives the summary too: `stopped` is "cancelled".
     */
    async batch(steps: Iterable<BatchStep> | AsyncIterable<BatchStep>, options: BatchOptions = {}): Promise<BatchSummary> {
        const { call } = library();
        const asked = iterator(steps);
        const batch = made('batch', (out) => call.batch_new(out), call.batch_free);
        const { journal = '', parallel = 0, credits = 0, onEnd } = options;
        if (onEnd && typeof onEnd !== 'function') throw argument('batch', 'onEnd', `is no function but ${typeof onEnd}`);
        const args = { batch: batch.address, journal, parallel, credits, told: onEnd !== undefined };
        // What one of the caller's functions throws stops the batch, and is told when the steps under way have ended.
        let thrown: { error: unknown } | undefined;
        const answers = async (question: Question): Promise<Answer> => {
            try {
                if (question.ask === 'next') return { step: stepOf(await asked.next()) };
                if (question.ask === 'ended') await onEnd?.(endOf(question));
                return {};
            } catch (error) {
                thrown ??= { error };
                return { stop: true };
            }
        };
        try {
            const outcome = await this.perform('batch', options, (on) => ({ operation: 'batch', ...on, ...args }), answers);
            if (thrown) throw thrown.error;
            return renamed<{ result: BatchSummary }>(JSON.parse(outcome.json ?? 'null')).result;
        } finally {
            batch.free();
            // A generator that waits for its next step can't be ended before that comes.
            void Promise.resolve(asked.return?.()).catch(() => {});
        }
    }

    /** Calls that were made go on to their end; later ones fail. A client that nobody has any more is closed by itself. */
    close(): void {
        this.#closed = true;
        if (this.#running === 0) this.#handle.free();
    }

    [Symbol.dispose](): void {
        this.close();
    }

    /** @internal Makes a call of the library, whose client is open until it ends. */
    async perform(
        operation: string,
        options: CallOptions & Extras,
        makeJob: (on: { client: Address; call: JobCall }) => Job,
        answers?: Answers,
    ): Promise<Done> {
        const client = this.open(operation).address;
        this.#running++;
        try {
            return await perform(this.#places, this.#hooks, operation, options, (call) => makeJob({ client, call }), answers);
        } finally {
            this.#running--;
            if (this.#closed) this.close();
        }
    }

    /** @internal */
    open(operation: string): Handle {
        if (this.#closed) throw refused(operation, 'ZCRM_E_STATE', 'closed', 'the client is closed');
        return this.#handle;
    }
}

function iterator(steps: Iterable<BatchStep> | AsyncIterable<BatchStep>): Iterator<BatchStep> | AsyncIterator<BatchStep> {
    const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = Object(steps);
    const begin = later ?? now;
    if (typeof begin !== 'function' || typeof steps === 'string') throw argument('batch', 'steps', 'are no iterable of steps');
    return begin.call(steps);
}

function stepOf({ done, value }: IteratorResult<BatchStep>): { key: string; json: string } | undefined {
    if (done) return undefined;
    const json = JSON.stringify(value?.step);
    if (typeof value?.key !== 'string') throw argument('batch', 'key', `is no text but ${typeof value?.key}`);
    if (json === undefined) throw argument('batch', 'step', 'is missing');
    return { key: value.key, json };
}

function endOf({ key, json, done, fromJournal }: Extract<Question, { ask: 'ended' }>): BatchEnd {
    return done ? { key, fromJournal, output: JSON.parse(json) } : { key, fromJournal, error: failed('batch', json) };
}
