const { randomUUID } = require('node:crypto');
const { mkdtempSync } = require('node:fs');
const { mkdir, open, readFile, rm, writeFile } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

/**
 * A folder of this process alone, through which the bytes of messages go: a step names files. Their names can't be guessed, so no message
 * can name another's.
 */
class Spool {
    constructor() {
        this.folder = mkdtempSync(join(tmpdir(), 'node-red-zcrm-'));
    }

    /** A path that no file has yet. */
    async path() {
        const folder = join(this.folder, randomUUID());
        await mkdir(folder);
        return join(folder, 'file');
    }

    /**
     * Writes bytes, or what a stream gives, and tells the path.
     * @param {Uint8Array | import('node:stream').Readable} from
     * @param {AbortSignal} signal
     */
    async put(from, signal) {
        const path = await this.path();
        if (from instanceof Uint8Array) {
            await writeFile(path, from, { signal });
            return path;
        }
        const file = await open(path, 'w');
        try {
            const abort = () => from.destroy(signal.reason);
            signal.addEventListener('abort', abort, { once: true });
            for await (const chunk of from) await file.write(chunk);
            signal.removeEventListener('abort', abort);
        } finally {
            await file.close();
        }
        return path;
    }

    /** @param {string} path */
    take(path) {
        return readFile(path);
    }

    /** @param {string} path */
    remove(path) {
        return rm(join(path, '..'), { recursive: true, force: true });
    }

    close() {
        return rm(this.folder, { recursive: true, force: true });
    }
}

module.exports = { Spool };
