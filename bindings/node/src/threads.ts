import { join } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { refuseAll } from './hooks';
import { type Answer, type FromThread, type Job, type Outcome, type Question, type Start, THREAD } from './job';
import { type Address, library } from './library';

/** How long a thread is kept that nothing needs. */
const IDLE_MS = 30_000;

/** Four pieces as the library reads and writes them. */
const SHARED_BYTES = 256 * 1024;

/** The longest that the end of the process waits for a call. */
const LEFT_MS = 2000;

/** Whom a thread asks during a call. */
export interface Caller {
    /** `shared` is where the bytes of a stream are put or taken. */
    answer(question: Question, shared: Uint8Array): Promise<Answer>;
    progress(done: number, total: number): void;
}

interface Running {
    caller: Caller;
    cancel: Address;
    /** Which question is open, if one is; each has another number. */
    question: number;
    asking: boolean;
    stopped: boolean;
    end(outcome: Outcome): void;
    fail(error: Error): void;
}

/** A thread that makes one call at a time. The process doesn't wait for it between calls. */
class Thread {
    readonly #worker: Worker;
    readonly #state = new Int32Array(new SharedArrayBuffer(8));
    readonly #shared = new Uint8Array(new SharedArrayBuffer(SHARED_BYTES));
    readonly #answers: MessagePort;
    #running: Running | undefined;
    #idle: NodeJS.Timeout | undefined;

    constructor() {
        const { port1, port2 } = new MessageChannel();
        this.#answers = port1;
        port1.unref();
        this.#worker = new Worker(join(__dirname, 'worker.js'), {
            name: 'zcrm',
            execArgv: [], // what the program preloads isn't for this thread
            workerData: { library: library().path, state: this.#state, shared: this.#shared, answers: port2 } satisfies Start,
            transferList: [port2],
        });
        this.#worker.on('message', (message: FromThread) => this.#take(message));
        this.#worker.on('error', (error) => this.#lost(error));
        this.#worker.on('exit', () => this.#lost(new Error('zcrm: the thread of a call has ended')));
    }

    run(job: Job, caller: Caller): Promise<Outcome> {
        clearTimeout(this.#idle);
        this.#worker.ref();
        return new Promise((end, fail) => {
            this.#running = { caller, cancel: job.call.cancel, question: 0, asking: false, stopped: false, end, fail };
            running.add(this);
            Atomics.store(this.#state, THREAD.busy, 1);
            this.#worker.postMessage(job, 'source' in job && 'data' in job.source ? [job.source.data.buffer as ArrayBuffer] : []);
        });
    }

    /** Ends the call that runs, within 100 ms. */
    stop(): void {
        if (!this.#running) return;
        this.#running.stopped = true;
        library().call.cancel_fire(this.#running.cancel);
        this.#reply(this.#running.question, { stop: true });
    }

    /** Waits until the library has let go of the thread, which was stopped. */
    left(): void {
        Atomics.wait(this.#state, THREAD.busy, 1, LEFT_MS);
    }

    /** Ends the thread, which is idle, if nothing needs it for a while. */
    rest(): void {
        this.#idle = setTimeout(() => {
            idle.splice(idle.indexOf(this), 1);
            void this.#worker.terminate();
        }, IDLE_MS);
        this.#idle.unref();
    }

    #take(message: FromThread): void {
        if (!this.#running) return;
        if ('ask' in message) void this.#ask(this.#running, message);
        else if ('progress' in message) this.#running.caller.progress(message.progress.done, message.progress.total);
        else this.#ended()?.end(message);
    }

    async #ask(call: Running, question: Question): Promise<void> {
        const number = ++call.question;
        call.asking = true;
        this.#reply(number, call.stopped ? { stop: true } : await call.caller.answer(question, this.#shared));
    }

    /** A question that was answered, by `stop`, isn't answered again. */
    #reply(question: number, answer: Answer): void {
        const call = this.#running;
        if (!call?.asking || call.question !== question) return;
        call.asking = false;
        this.#answers.postMessage(answer);
        Atomics.store(this.#state, THREAD.answered, 1);
        Atomics.notify(this.#state, THREAD.answered);
    }

    #ended(): Running | undefined {
        const call = this.#running;
        this.#running = undefined;
        running.delete(this);
        this.#worker.unref();
        return call;
    }

    #lost(error: Error): void {
        const at = idle.indexOf(this);
        if (at >= 0) idle.splice(at, 1);
        clearTimeout(this.#idle);
        this.#ended()?.fail(error);
    }
}

const idle: Thread[] = [];
const running = new Set<Thread>();

// Node waits for its threads when the process ends, and a call may be waiting for Zoho. It ends them in any order, and a call must not find that
// the thread of its hooks has gone.
process.on('exit', () => {
    refuseAll();
    for (const thread of running) thread.stop();
    for (const thread of running) thread.left();
});

/** Makes a call on a thread of its own. `begun` gets what ends it. */
export async function onThread(job: Job, caller: Caller, begun: (stop: () => void) => void): Promise<Outcome> {
    const thread = idle.pop() ?? new Thread();
    const ends = thread.run(job, caller);
    begun(() => thread.stop());
    const outcome = await ends;
    idle.push(thread);
    thread.rest();
    return outcome;
}
