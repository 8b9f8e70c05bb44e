import { join } from 'node:path';
import { isMainThread, MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { argument, keep, refused } from './error';
import { CONSTANTS } from './generated';
import { HOOKS, type HooksStart, type TokenAnswer, type Told } from './job';
import { type Handle, library } from './library';

type Lower<Name> = Name extends `LOG_${infer Level}` ? Lowercase<Level> : never;
/** How much a log line matters; each is a method of `console`, too. */
export type LogLevel = Lower<keyof typeof CONSTANTS>;

/** What a client calls at any time during a call. Both are for the main thread: a worker thread may be terminated while the library is in one. */
export interface ClientHooks {
    /**
     * Takes the log lines, each before the call that it is of ends: `(level, line) => console[level](line)`. They never hold a token, a secret or
     * bytes of a file. What it throws is an uncaught exception.
     */
    log?: ((level: LogLevel, line: string) => void) | undefined;
    /** The lines up to this level; "info" when not given. */
    logLevel?: LogLevel | undefined;
    /**
     * Gives the access token, in place of OAuth credentials. Asked for each operation, one after the other: keep a token while it is good.
     * `refused` says that Zoho refused the last one. What it throws is the `cause` of the call's error. It can't use its own client.
     */
    token?: ((refused: boolean) => string | Promise<string>) | undefined;
}

const LEVELS = new Map(
    Object.entries(CONSTANTS)
        .filter(([name]) => name.startsWith('LOG_'))
        .map(([name, number]) => [number as number, name.slice('LOG_'.length).toLowerCase() as LogLevel]),
);

const START_MS = 30_000;
const open = new Set<Hooks>();

/** What a client calls back, and the thread on which the library does: it calls from any thread, those of a batch too, and waits there. */
export class Hooks {
    readonly #log: ClientHooks['log'];
    readonly #level: number;
    readonly #token: ClientHooks['token'];
    readonly #worker: Worker;
    readonly #port: MessagePort;
    readonly #state = new Int32Array(new SharedArrayBuffer(12));
    readonly #addresses = new BigInt64Array(new SharedArrayBuffer(16));
    #questions = 0;
    /** The question that waits for its answer; 0: none. */
    #open = 0;
    #calls = 0;
    #stopped = 0;

    private constructor({ log, logLevel = 'info', token }: ClientHooks) {
        this.#log = log;
        this.#token = token;
        this.#level = levelOf(logLevel);
        const { port1, port2 } = new MessageChannel();
        this.#port = port1;
        this.#worker = new Worker(join(__dirname, 'listener.js'), {
            name: 'zcrm hooks',
            execArgv: [],
            workerData: { library: library().path, addresses: this.#addresses, state: this.#state, port: port2 } satisfies HooksStart,
            transferList: [port2],
        });
        this.#worker.unref();
        port1.on('message', (told: Told) => this.#take(told));
        port1.unref();
        if (Atomics.wait(this.#state, HOOKS.ready, 0, START_MS) === 'timed-out') throw new Error('zcrm: the thread for log and token does not start');
        open.add(this);
    }

    /** Those of a client, if it has any. */
    static of(given: ClientHooks): Hooks | undefined {
        for (const name of ['log', 'token'] as const) {
            if (given[name] === undefined || given[name] === null) continue;
            if (typeof given[name] !== 'function') throw argument('client', name, `is no function but ${typeof given[name]}`);
            if (!isMainThread) {
                throw refused('client', 'ZCRM_E_UNSUPPORTED', 'worker_thread', `${name}: a client of a worker thread has none`, { field: name });
            }
        }
        return given.log || given.token ? new Hooks(given) : undefined;
    }

    get givesTokens(): boolean {
        return Boolean(this.#token);
    }

    /** Gives the functions to a config. */
    set(config: Handle): void {
        const { call } = library();
        const [log, token] = this.#addresses;
        const statuses = [
            this.#log ? call.config_set_log_fn(config.address, this.#level, log, null, null) : CONSTANTS.OK,
            this.#token ? call.config_set_token_fn(config.address, token, null, null) : CONSTANTS.OK,
        ];
        if (statuses.some((status) => status !== CONSTANTS.OK)) throw new Error(`zcrm: the hooks are refused: ${statuses}`);
    }

    begins(): void {
        this.#calls++;
    }

    /** A call is to end, and may be waiting for a token. Nobody knows which call asks: the question is left alone while others may wait for it. */
    stops(): void {
        this.#stopped++;
        if (this.#nobodyWaits()) this.#reply(this.#open, { failed: CONSTANTS.E_CANCELLED });
    }

    /** A call has ended: the lines that it has logged are taken. */
    ends(stopped: boolean): void {
        for (let told = receiveMessageOnPort(this.#port); told; told = receiveMessageOnPort(this.#port)) this.#take(told.message);
        this.#calls--;
        if (stopped) this.#stopped--;
    }

    /** Answers what is asked, and what ever will be, with no. */
    refuse(): void {
        Atomics.store(this.#state, HOOKS.closed, 1);
        this.#answer({ failed: CONSTANTS.E_CANCELLED });
    }

    /** No call runs, and none will. */
    close(): void {
        open.delete(this);
        this.#port.close();
        void this.#worker.terminate();
    }

    #nobodyWaits(): boolean {
        return this.#calls === this.#stopped;
    }

    #take(told: Told): void {
        if ('asked' in told) void this.#ask(told.asked);
        else this.#line(told);
    }

    #line({ level, line }: { level: number; line: string }): void {
        try {
            this.#log?.(LEVELS.get(level) ?? 'error', line);
        } catch (error) {
            process.nextTick(() => {
                throw error;
            });
        }
    }

    async #ask({ refused, most }: { refused: boolean; most: number }): Promise<void> {
        const question = ++this.#questions;
        this.#open = question;
        if (this.#nobodyWaits()) return this.#reply(question, { failed: CONSTANTS.E_CANCELLED });
        try {
            this.#reply(question, { token: bytesOf(await this.#token?.(refused), most) });
        } catch (error) {
            this.#reply(question, { failed: keep(error) });
        }
    }

    /** A question that was answered isn't answered again. */
    #reply(question: number, answer: TokenAnswer): void {
        if (question === 0 || question !== this.#open) return;
        this.#open = 0;
        this.#answer(answer);
    }

    #answer(answer: TokenAnswer): void {
        this.#port.postMessage(answer);
        Atomics.store(this.#state, HOOKS.answered, 1);
        Atomics.notify(this.#state, HOOKS.answered);
    }
}

function levelOf(wanted: LogLevel): number {
    for (const [number, level] of LEVELS) if (level === wanted) return number;
    throw argument('client', 'logLevel', `is ${String(wanted)}; it takes ${[...LEVELS.values()].join(', ')}`);
}

function bytesOf(token: unknown, most: number): Uint8Array {
    if (typeof token !== 'string') throw new TypeError(`token: the function gave ${token === null ? 'null' : typeof token}, and not a text`);
    const bytes = new TextEncoder().encode(token);
    if (bytes.length > most) throw new RangeError(`token: the function gave ${bytes.length} bytes, and a token has at most ${most}`);
    return bytes;
}

/** The process ends: what is asked gets no answer any more. */
export function refuseAll(): void {
    for (const hooks of open) hooks.refuse();
}
