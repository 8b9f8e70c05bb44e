// The connection to one CRM organisation.
const { Client, describe, ZcrmError } = require('zcrm');
const { settingsOf } = require('../lib/settings');
const { Spool } = require('../lib/spool');

/** What a password field of the editor holds when it was not changed. */
const UNCHANGED = '__PWRD__';
const SECRETS = ['clientSecret', 'refreshToken', 'accessToken'];

/** @param {any} RED */
module.exports = (RED) => {
    /** @this {any} @param {any} config */
    function Account(config) {
        RED.nodes.createNode(this, config);
        this.spool = new Spool();
        try {
            this.client = new Client(settingsOf(config, this.credentials ?? {}, this.spool.folder));
        } catch (error) {
            this.problem = error;
            this.error(error);
        }
        this.on('close', async (/** @type {() => void} */ done) => {
            this.client?.close();
            await this.spool.close();
            done();
        });
    }
    RED.nodes.registerType('zcrm-account', Account, {
        credentials: Object.fromEntries(SECRETS.map((name) => [name, { type: 'password' }])),
    });

    // The forms are drawn from it.
    RED.httpAdmin.get('/zcrm/description', RED.auth.needsPermission('zcrm.read'), (/** @type {any} */ _, /** @type {any} */ answer) => {
        answer.json(describe());
    });

    RED.httpAdmin.post('/zcrm/test', RED.auth.needsPermission('zcrm.write'), async (/** @type {any} */ request, /** @type {any} */ answer) => {
        const { id, config, credentials } = request.body ?? {};
        const stored = RED.nodes.getCredentials(id) ?? {};
        const secrets = SECRETS.map((name) => [name, credentials?.[name] === UNCHANGED ? stored[name] : credentials?.[name]]);
        answer.json(await connects(config ?? {}, Object.fromEntries(secrets)));
    });
};

/**
 * Whether Zoho takes the login. A list of a record that can't be there costs one API call: whoever is told that it isn't there was let in.
 * @param {Record<string, string>} config
 * @param {Record<string, string>} credentials
 */
async function connects(config, credentials) {
    const ask = { operation: 'attachment.list', module: 'Contacts', record_id: '1', page: 1, per_page: 1 };
    let client;
    try {
        client = new Client({ ...settingsOf(config, credentials, ''), callTimeoutMs: 20_000, maxRetries: 0 });
        await client.runStep(ask);
    } catch (error) {
        const letIn = error instanceof ZcrmError && (error.code === 'ZCRM_E_INVALID_RECORD' || error.code === 'ZCRM_E_NOT_FOUND');
        if (!letIn) return { ok: false, message: /** @type {Error} */ (error).message };
    } finally {
        client?.close();
    }
    return { ok: true, message: 'Zoho accepts this login' };
}
