// The thread on which the library calls the hooks of a client. koffi carries such a call here from whatever thread it comes, which waits. The
// thread that made the client can't take them: it runs nothing any more when the process ends, and a call would wait for it for ever.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import * as koffi from 'koffi';
import { CONSTANTS } from './generated';
import { HOOKS, type HooksStart, type TokenAnswer, type Told } from './job';
import { type Address, library } from './library';

const { library: path, addresses, state, port } = workerData as HooksStart;
koffi.config({ ...koffi.config(), max_async_calls: 4096 }); // calls that may wait here; a batch has 256 threads
const lib = library(path);
const tell = (told: Told) => port.postMessage(told);

const log = lib.callback('log', (_user: unknown, level: number, line: Address) => tell({ level, line: koffi.decode.string(line) }));

const token = lib.callback('token', (_user: unknown, refused: number, buffer: Address, cap: number | bigint, n: Address) => {
    if (Atomics.load(state, HOOKS.closed) === 1) return CONSTANTS.E_CANCELLED;
    tell({ asked: { refused: refused !== 0, most: Number(cap) } });
    Atomics.wait(state, HOOKS.answered, 0);
    Atomics.store(state, HOOKS.answered, 0);
    const answer: TokenAnswer = receiveMessageOnPort(port)?.message ?? { failed: CONSTANTS.E_CANCELLED };
    if ('failed' in answer) return answer.failed;
    new Uint8Array(koffi.view(buffer, answer.token.length)).set(answer.token);
    koffi.encode(n, 'size_t', answer.token.length);
    return CONSTANTS.OK;
});

addresses.set([log, token]);
Atomics.store(state, HOOKS.ready, 1);
Atomics.notify(state, HOOKS.ready);
parentPort?.on('message', () => {}); // keeps this thread: its work doesn't come from there
