const { basename } = require('node:path');
const { Readable } = require('node:stream');

/**
 * @typedef {{ t: string, v: string }} Field           a typed input of the editor: its type and its value
 * @typedef {Record<string, any>} Message
 * @typedef {{ operation: string, fields: Record<string, Field>, choices: Record<string, string> }} Form
 * @typedef {{ step: { operation: string } & Record<string, any>, files: string[], result: string | undefined }} Ready
 *          the step, the files in the spool that it needs, and the one that its bytes go to
 */

/**
 * Makes the step of a message. Bytes go through the spool, so that every field of a step works with them.
 * @param {Form} form
 * @param {Message} msg
 * @param {(field: Field) => Promise<unknown>} evaluate
 * @param {import('./spool').Spool} spool
 * @param {AbortSignal} signal
 * @returns {Promise<Ready>}
 */
async function stepOf(form, msg, evaluate, spool, signal) {
    // It may fail before it is read: that is told when it is read, and must not end Node-RED.
    if (msg.payload instanceof Readable) msg.payload.on('error', () => {});
    const step = /** @type {Ready['step']} */ ({ operation: form.operation });
    for (const [key, field] of Object.entries(form.fields ?? {})) {
        const value = field.v === '' && field.t !== 'env' ? undefined : await evaluate(field);
        if (value !== undefined) put(step, key.split('.'), value);
    }
    const ready = /** @type {Ready} */ ({ step, files: [], result: undefined });
    if (form.choices?.source === 'message') await fromMessage(ready, msg, spool, signal);
    if (form.choices?.sink === 'message') {
        const path = await spool.path();
        put(step, ['sink', 'path'], path);
        ready.files.push(path);
        ready.result = path;
    }
    return ready;
}

/** @param {Record<string, any>} into @param {string[]} at @param {unknown} value */
function put(into, [first, ...rest], value) {
    if (rest.length === 0) into[first] = value;
    else {
        into[first] ??= {};
        put(into[first], rest, value);
    }
}

/** @param {Ready} ready @param {Message} msg @param {import('./spool').Spool} spool @param {AbortSignal} signal */
async function fromMessage(ready, msg, spool, signal) {
    const { payload, filename } = msg;
    ready.step.source ??= {};
    const { source } = ready.step;
    if (typeof payload === 'string') {
        source.path = payload; // allow_paths says whether it may be read
        return;
    }
    if (!(payload instanceof Uint8Array) && !(payload instanceof Readable)) {
        const is = payload === null ? 'null' : typeof payload;
        throw refused('source', `msg.payload is ${is}; it must be a Buffer, a stream or the path of a file`);
    }
    if (payload instanceof Readable && !payload.errored && (payload.readableEnded || payload.destroyed)) {
        throw refused('source', 'the stream in msg.payload was read to its end, or destroyed, before');
    }
    source.name ??= typeof filename === 'string' ? basename(filename) : undefined;
    if (!source.name) throw refused('source.name', 'a Buffer and a stream have no name: fill in "Name", or set msg.filename');
    source.path = await spool.put(payload, signal);
    ready.files.push(source.path);
}

/** A failure that is met before the library is asked, told as the library would. @param {string} field @param {string} problem */
function refused(field, problem) {
    const told = { code: 'ZCRM_E_ARGUMENT', reason: 'message', field, retryable: false, retryAfterMs: undefined, outcomeOpen: false };
    return Object.assign(new Error(`${field}: ${problem}`), told);
}

module.exports = { stepOf };
