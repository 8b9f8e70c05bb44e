const { randomUUID } = require('node:crypto');
const { createWriteStream, mkdtempSync } = require('node:fs');
const { mkdir, readFile, rm, writeFile } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { pipeline } = require('node:stream/promises');

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
     * Writes bytes, or what a stream gives, and tells the path. Nothing is left of what fails.
     * @param {Uint8Array | import('node:stream').Readable} from
     * @param {AbortSignal} signal
     */
    async put(from, signal) {
        const path = await this.path();
        try {
            if (from instanceof Uint8Array) await writeFile(path, from, { signal });
            else await pipeline(from, bytesOf, createWriteStream(path), { signal });
            return path;
        } catch (error) {
            await this.remove(path);
            throw error;
        }
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

/**
 * A pipe throws what a stream of objects gives past everyone, and Node-RED ends.
 * @param {import('node:stream').Readable} from
 */
async function* bytesOf(from) {
    for await (const chunk of from) {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk, from.readableEncoding ?? 'utf8') : chunk;
        if (!(bytes instanceof Uint8Array)) throw new TypeError('the stream in msg.payload gives something else than bytes');
        yield bytes;
    }
}

module.exports = { Spool };
