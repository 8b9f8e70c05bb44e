import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { failed } from './error';
import { CONSTANTS, type SettingName } from './generated';
import type { Hooks } from './hooks';
import { type Address, Handle, library } from './library';

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Name;

/** The settings of the library, in the writing of JavaScript: `clientId` is `client_id`. {@link describe} lists them all. */
export type Settings = { [Name in SettingName as Camel<Name>]?: string | number | boolean | null | undefined };

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const word = (value: string | number | boolean) => (typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));

/** Makes a client of the library. */
export function newClient(settings: Settings, hooks: Hooks | undefined): Handle {
    const { call } = library();
    const config = made('config', (out) => call.config_new(out), call.config_free);
    try {
        for (const [name, value] of Object.entries({ ...sharedTokens(settings), ...settings })) {
            if (value === undefined || value === null) continue;
            const text = word(value);
            made('config', (_, error) => call.config_set(config.address, snake(name), text, Buffer.byteLength(text), error));
        }
        hooks?.set(config);
        const free = (address: Address) => {
            call.client_free(address);
            hooks?.close();
        };
        return made('client', (out, error) => call.client_new(config.address, out, error), free);
    } catch (error) {
        hooks?.close();
        throw error;
    } finally {
        config.free();
    }
}

/** Calls a function that makes a handle, or nothing. */
export function made(
    operation: string,
    make: (out: [bigint | null], error: [bigint | null]) => number,
    free: (address: bigint) => void = () => {},
): Handle {
    const { call } = library();
    const [out, error]: [[bigint | null], [bigint | null]] = [[null], [null]];
    if (make(out, error) === CONSTANTS.OK) return new Handle(out[0] ?? 0n, free);
    const json: string = call.error_json(error[0]);
    call.error_free(error[0]);
    throw failed(operation, json);
}

/** Zoho gives few tokens in ten minutes, and each process would ask for its own: those of one user share a file. */
function sharedTokens(settings: Settings): Settings {
    if (settings.tokenFile !== undefined || !settings.refreshToken || !settings.clientId) return {};
    const folder = join(cacheFolder(), 'zcrm');
    try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        accessSync(folder, constants.W_OK);
    } catch {
        return {}; // a user without a folder that can be written has no processes that share one
    }
    // The Python package names the same file.
    const account = [settings.clientId, settings.dataCenter, settings.environment, settings.accountsUrl, settings.soid];
    const hash = createHash('sha256').update(account.map((part) => part ?? '').join('\0'));
    return { tokenFile: join(folder, `token-${hash.digest('hex').slice(0, 24)}.json`) };
}

function cacheFolder(): string {
    if (process.platform === 'win32') return process.env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local');
    if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches');
    return process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
}
