// A Node-RED of a test's own, driven by its admin API.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** A port that is free now. */
async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

// It ends with these tests, however they end.
const SETTINGS = `
process.stdin.on('end', () => process.exit()).resume();
module.exports = {
    uiHost: '127.0.0.1', credentialSecret: 'of the tests', flowFile: 'flows.json', functionGlobalContext: { fs: require('fs'), Readable: require('stream').Readable },
    telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false, projects: { enabled: false } },
    logging: { console: { level: 'warn', metrics: false, audit: false } },
};`;

let deployed = 0;

/** Waits until something is so. */
export async function until(holds) {
    const end = Date.now() + 60_000;
    while (!(await holds())) {
        if (Date.now() > end) throw new Error(`it never is so: ${holds}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

const running = new Set();
after(async () => {
    for (const red of running) await red.stop();
});

/** Starts Node-RED; with the folder of an earlier one it goes on with that one's flows. */
export async function nodeRed(folder = mkdtempSync(join(tmpdir(), 'node-red-'))) {
    writeFileSync(join(folder, 'settings.js'), SETTINGS);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const program = join(process.env.ZCRM_NODE_RED, 'node_modules/node-red/red.js');
    const child = spawn(process.execPath, [program, '-u', folder, '-s', join(folder, 'settings.js'), '-p', `${port}`], {
        env: { ...process.env, NODE_TEST_CONTEXT: '', TMPDIR: folder },
        stdio: ['pipe', 'pipe', 'pipe'],
    });
    let log = '';
    for (const stream of [child.stdout, child.stderr])
        stream.on('data', (text) => {
            log += text;
        });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const red = {
        url,
        folder,
        log: () => log,
        /** What bytes of messages lie in the folders of its accounts. */
        spooled: () => readdirSync(folder).flatMap((name) => (name.startsWith('node-red-zcrm-') ? readdirSync(join(folder, name)) : [])),
        async stop() {
            running.delete(red);
            child.kill('SIGTERM');
            await ended;
        },
        async admin(method, path, body, headers = {}) {
            const answer = await fetch(url + path, {
                method,
                headers: { 'Content-Type': 'application/json', ...headers },
                ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            });
            if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}\n${log}`);
            return answer.status === 204 ? undefined : answer.json();
        },
        /** Deploys everything again and stops what runs. Node-RED answers before the new flows have begun, so these have a page that says so. */
        async deploy(flows) {
            const page = `/deployed/${++deployed}`;
            const sign = [
                { id: 'sign', type: 'tab', label: 'sign' },
                { id: 'sign-in', type: 'http in', z: 'sign', x: 100, y: 100, url: page, method: 'get', wires: [['sign-out']] },
                { id: 'sign-out', type: 'http response', z: 'sign', x: 300, y: 100, wires: [] },
            ];
            await red.admin('POST', '/flows', [...flows, ...sign], { 'Node-RED-Deployment-Type': 'full' });
            await until(async () => (await fetch(url + page)).ok);
        },
        /** Sends a message into the flow of `flow()`; what comes out of it, or what its Catch node got. */
        async send(message) {
            const answer = await fetch(`${url}/run`, {
                method: 'POST',
                headers: { 'Content-Type': 'application/json' },
                body: JSON.stringify(message),
            });
            const told = await answer.json();
            return answer.ok ? told : { failed: told };
        },
        statuses: async () => (await fetch(`${url}/statuses`)).json(),
    };
    running.add(red);
    await until(async () => {
        if (child.exitCode !== null) throw new Error(`Node-RED has ended:\n${log}`);
        return (await fetch(`${url}/zcrm/description`).catch(() => undefined))?.ok;
    });
    return red;
}

/** The account of a test's organisation. `settings` are lines of its further settings. */
export function account({ url, options, credentials }, { settings = '', allowPaths = '', byRefreshToken = false } = {}) {
    const login = byRefreshToken
        ? { clientSecret: credentials.client_secret, refreshToken: credentials.refresh_token }
        : { accessToken: options.accessToken };
    return {
        id: 'account',
        type: 'zcrm-account',
        name: 'emulator',
        dataCenter: 'us',
        environment: 'production',
        clientId: byRefreshToken ? credentials.client_id : '',
        allowPaths,
        settings: `api_domain = ${url}\naccounts_url = ${url}\nretry_base_ms = 5\ntoken_file = \n${settings}`,
        credentials: login,
    };
}

/** POST /run → a node of ours → the answer; a Catch node beside it answers with the error. */
export function flow(accountNode, { operation, fields = {}, choices = {} }, before = '') {
    const z = 'tab';
    // Without a place on the sheet Node-RED takes them for configuration.
    const placed = (node) => (['tab', 'zcrm-account'].includes(node.type) ? node : { x: 100, y: 100, ...node });
    const nodes = [
        { id: z, type: 'tab', label: 'test' },
        accountNode,
        { id: 'in', type: 'http in', z, url: '/run', method: 'post', wires: [['before']] },
        {
            id: 'before',
            type: 'function',
            z,
            func: `const given = msg.payload; delete msg.payload; Object.assign(msg, given);
                   if (given.bytes !== undefined) msg.payload = Buffer.from(given.bytes, 'base64'); ${before}; return msg;`,
            wires: [['file']],
        },
        { id: 'file', type: 'zcrm-file', z, account: 'account', operation, fields, choices, wires: [['after']] },
        {
            id: 'after',
            type: 'function',
            z,
            func: "if (Buffer.isBuffer(msg.payload)) msg.payload = { bytes: msg.payload.toString('base64') }; msg.payload = { payload: msg.payload, filename: msg.filename, zcrm: msg.zcrm }; return msg;",
            wires: [['out']],
        },
        { id: 'catch', type: 'catch', z, scope: ['file'], wires: [['caught']] },
        {
            id: 'caught',
            type: 'function',
            z,
            func: 'const { message, code, cause } = msg.error; msg.statusCode = 500; msg.payload = { message, code, ...cause }; return msg;',
            wires: [['out']],
        },
        { id: 'out', type: 'http response', z, wires: [] },
        { id: 'status', type: 'status', z, scope: ['file'], wires: [['kept']] },
        {
            id: 'kept',
            type: 'function',
            z,
            func: "const all = global.get('statuses') ?? []; all.push(msg.status); global.set('statuses', all);",
            wires: [],
        },
        { id: 'asked', type: 'http in', z, url: '/statuses', method: 'get', wires: [['told']] },
        { id: 'told', type: 'function', z, func: "msg.payload = global.get('statuses') ?? []; return msg;", wires: [['out']] },
    ];
    return nodes.map(placed);
}

/** Fields as the editor stores them. */
export const str = (v) => ({ t: 'str', v });
export const msg = (v) => ({ t: 'msg', v });
