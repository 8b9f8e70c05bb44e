import { setMaxListeners } from 'node:events';

/** How long the caller may take for an answer before the call that waits for it lends its place. */
const MOMENT_MS = 10;

/** Bounds how many calls of a client are in the library at once: each has a thread. */
export class Places {
    #free: number;
    readonly #waiting: Array<() => void> = [];

    constructor(count: number) {
        this.#free = count;
    }

    /** Waits for a place. Rejects with the signal's reason when that is aborted before. */
    async take(signal: AbortSignal | undefined): Promise<void> {
        if (signal?.aborted) throw signal.reason;
        if (this.#free > 0) {
            this.#free--;
            return;
        }
        await new Promise<void>((resolve, reject) => {
            const turn = () => {
                signal?.removeEventListener('abort', aborted);
                resolve();
            };
            const aborted = () => {
                this.#waiting.splice(this.#waiting.indexOf(turn), 1);
                reject(signal?.reason);
            };
            this.#waiting.push(turn);
            if (signal instanceof AbortSignal) setMaxListeners(0, signal); // many calls of one signal are no leak
            signal?.addEventListener('abort', aborted, { once: true });
        });
    }

    give(): void {
        this.#free++;
        while (this.#free > 0) {
            const turn = this.#waiting.shift();
            if (!turn) return;
            this.#free--;
            turn();
        }
    }

    /**
     * While the caller takes longer than a moment for an answer, the place of the call that waits for it is another call's: the caller may be
     * waiting for that one, as a stream does that a download feeds.
     */
    async whileLent<T>(answer: Promise<T>): Promise<T> {
        let lent = false;
        const timer = setTimeout(() => {
            lent = true;
            this.give();
        }, MOMENT_MS);
        try {
            return await answer;
        } finally {
            clearTimeout(timer);
            // Without a place if there is none: the call has its thread all the same.
            if (lent) this.#free--;
        }
    }
}
