// One operation on the files of a record. Which there are, and what each takes, the library says.
const { stepOf } = require('../lib/step');

/** @param {any} RED */
module.exports = (RED) => {
    /** @this {any} @param {any} config */
    function File(config) {
        RED.nodes.createNode(this, config);
        const account = RED.nodes.getNode(config.account);
        /** @type {Map<AbortController, Promise<void>>} */
        const running = new Map();

        const evaluate = (/** @type {import('../lib/step').Field} */ { t, v }, /** @type {any} */ msg) =>
            t === 'choice'
                ? Promise.resolve(v)
                : new Promise((resolve, reject) => {
                      RED.util.evaluateNodeProperty(v, t, this, msg, (/** @type {unknown} */ error, /** @type {unknown} */ value) =>
                          error ? reject(error) : resolve(value),
                      );
                  });

        /** Tells the progress of the message that moved last. */
        const told = (/** @type {{ done: number, total: number | undefined }} */ { done, total }) => {
            const much = total ? `${Math.floor((100 * done) / total)} %` : `${Math.ceil(done / 1024)} KiB`;
            const beside = running.size > 1 ? `, ${running.size} running` : '';
            this.status({ fill: 'blue', shape: 'ring', text: `${much}${beside}` });
        };

        const run = async (/** @type {any} */ msg, /** @type {AbortSignal} */ signal) => {
            if (!account?.client) throw account?.problem ?? new Error('no account is chosen, or it is not deployed');
            this.status({ fill: 'blue', shape: 'dot', text: config.operation });
            const { spool, client } = account;
            const ready = await stepOf(config, msg, (field) => evaluate(field, msg), spool, signal);
            try {
                const output = await client.runStep(ready.step, { signal, onProgress: told });
                if (ready.result) {
                    msg.filename = output.result.file_name;
                    delete output.result.path; // it is gone in a moment
                }
                msg.payload = ready.result ? await spool.take(ready.result) : output.result;
                msg.zcrm = output;
                this.status({ fill: 'green', shape: 'dot', text: config.operation });
            } finally {
                await Promise.all(ready.files.map((path) => spool.remove(path)));
            }
        };

        this.on('input', (/** @type {any} */ msg, /** @type {any} */ send, /** @type {any} */ done) => {
            const controller = new AbortController();
            const ends = run(msg, controller.signal).then(
                () => {
                    running.delete(controller);
                    send(msg);
                    done();
                },
                (error) => {
                    running.delete(controller);
                    this.status({ fill: 'red', shape: 'ring', text: error.code ?? 'error' });
                    done(typed(error));
                },
            );
            running.set(controller, ends);
        });

        this.on('close', async (/** @type {() => void} */ done) => {
            for (const controller of running.keys()) controller.abort(new Error('the flow was stopped'));
            await Promise.all(running.values());
            this.status({});
            done();
        });
    }
    RED.nodes.registerType('zcrm-file', File);
};

/**
 * What a Catch node gets: `msg.error` has the message, the `code`, and as `cause` what else is known.
 * @param {any} error
 */
function typed(error) {
    if (typeof error.code !== 'string') return error;
    const { code, reason, field, httpStatus, apiCode, details, retryable, retryAfterMs, outcomeOpen, candidates } = error;
    const cause = { code, reason, field, httpStatus, apiCode, details, retryable, retryAfterMs, outcomeOpen, candidates };
    return Object.assign(new Error(error.message), { code, cause });
}
