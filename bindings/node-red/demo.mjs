// A Zoho CRM that is an emulator, and a Node-RED with the example "upload form". Ends with Ctrl-C. test.sh demo runs it.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const { ZCRM_EMULATOR, ZCRM_NODE_RED } = process.env;
const folder = join(ZCRM_NODE_RED, '../demo');
const children = [];

function begin(program, args, options = {}) {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
    children.push(child);
    child.once('exit', () => process.exit(1));
    return child;
}

process.on('exit', () => {
    for (const child of children) child.kill();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));

/** The port that Node-RED has by default, or a free one. */
function port(wanted = 1880) {
    return new Promise((resolve) => {
        const server = createServer();
        server.once('error', () => resolve(port(0)));
        server.listen(wanted, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

const emulator = begin(ZCRM_EMULATOR, ['--until-stdin-closes']);
const crm = await new Promise((resolve) => createInterface(emulator.stdout).once('line', resolve));
const { organisations } = await (await fetch(`${crm}/_emulator/world`)).json();
const [{ credentials, records }] = organisations;
const contact = records.find(({ module }) => module === 'Contacts');

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const settings =
    "module.exports = { uiHost: '127.0.0.1', credentialSecret: 'of the demo', telemetry: { enabled: false }, editorTheme: { tours: false } };";
writeFileSync(join(folder, 'settings.js'), settings);
const free = await port();
const url = `http://127.0.0.1:${free}`;
const program = join(ZCRM_NODE_RED, 'node_modules/node-red/red.js');
begin(process.execPath, [program, '-u', folder, '-s', join(folder, 'settings.js'), '-p', `${free}`]).stdout.resume();
for (;;) {
    if ((await fetch(`${url}/zcrm/description`).catch(() => undefined))?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
}

const flows = JSON.parse(readFileSync(new URL('examples/upload form.json', import.meta.url), 'utf8'));
const account = flows.find(({ type }) => type === 'zcrm-account');
Object.assign(account, {
    name: 'the emulator',
    clientId: credentials.client_id,
    settings: `api_domain = ${crm}\naccounts_url = ${crm}\ntoken_file =`,
    credentials: { clientSecret: credentials.client_secret, refreshToken: credentials.refresh_token },
});
await fetch(`${url}/flows`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(flows) });
while (!(await fetch(`${url}/contact-file`)).ok) await new Promise((resolve) => setTimeout(resolve, 100));

console.log(`
The flow in Node-RED's editor     ${url}
Its page: attach a file           ${url}/contact-file
   to ${contact.name}, whose record id is ${contact.id}
What the Zoho CRM then has        ${crm}

Ctrl-C ends it.`);
