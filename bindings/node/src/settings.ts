import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { argument, failed } from './error';
import { CONSTANTS, type SettingName } from './generated';
import type { Hooks } from './hooks';
import { type Address, Handle, library } from './library';

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Name;

/** The settings of the library, in the writing of JavaScript: `clientId` is `client_id`. {@link describe} lists them all. */
export type Settings = { [Name in SettingName as Camel<Name>]?: string | number | boolean | null | undefined };

/** A login that was written once for every program of this user, as `zcrm login` does. Other options come before what it says. */
export interface ProfileOptions {
    /** Its name, "" for "default". */
    profile?: string | undefined;
    /** The file that has it, in place of the user's own: `zcrm/profiles.toml` in `XDG_CONFIG_HOME`, or else in `~/.config`. */
    profiles?: string | URL | undefined;
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const word = (value: string | number | boolean) => (typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));

/** Makes a client of the library. */
export function newClient(options: Settings & ProfileOptions, hooks: Hooks | undefined): Handle {
    const { call } = library();
    let config: Handle | undefined;
    try {
        const { tokenFile } = options;
        config = newConfig({ ...options, tokenFile: tokenFile === null ? '' : tokenFile }, sharedTokens(options, hooks)); // none, of a profile neither
        const { address } = config;
        hooks?.set(config);
        const free = (client: Address) => {
            call.client_free(client);
            hooks?.close();
        };
        return made('client', (out, error) => call.client_new(address, out, error), free);
    } catch (error) {
        hooks?.close();
        throw error;
    } finally {
        config?.free();
    }
}

/** Makes a config of the library: the defaults, in their place what a profile says, and in that of both the settings. */
export function newConfig({ profile, profiles, ...settings }: Settings & ProfileOptions, defaults: Settings = {}): Handle {
    const { call } = library();
    const config = made('config', (out) => call.config_new(out), call.config_free);
    const set = (given: Settings) => {
        for (const [name, value] of Object.entries(given)) {
            if (value === undefined || value === null) continue;
            const text = word(value);
            made('config', (_, error) => call.config_set(config.address, textOf(name, snake(name)), text, Buffer.byteLength(text), error));
        }
    };
    try {
        set(defaults);
        if (isProfile({ profile, profiles })) {
            const names = [textOf('profiles', profiles), textOf('profile', profile)].map((text) => text || null);
            made('config', (_, error) => call.config_load_profile(config.address, ...names, error));
        }
        set(settings);
        return config;
    } catch (error) {
        config.free();
        throw error;
    }
}

const isProfile = ({ profile, profiles }: ProfileOptions) => (profile ?? profiles ?? undefined) !== undefined;

/** A text that ends for C at its first NUL, where it would be another one. */
function textOf(name: string, given: unknown): string {
    const value = given instanceof URL ? fileURLToPath(given) : (given ?? '');
    if (typeof value !== 'string') throw argument('config', name, `is no text but ${typeof value}`);
    if (value.includes('\0')) throw argument('config', name, 'holds a NUL');
    return value;
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
function sharedTokens(settings: Settings & ProfileOptions, hooks: Hooks | undefined): Settings {
    const own = Boolean(settings.clientSecret);
    if (settings.tokenFile !== undefined || hooks?.givesTokens || !(own || isProfile(settings))) return {};
    const folder = join(cacheFolder(), 'zcrm');
    try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        accessSync(folder, constants.W_OK);
    } catch {
        return {}; // a user without a folder that can be written has no processes that share one
    }
    // The Python package names the same file.
    const account: unknown[] = [settings.clientId, settings.dataCenter, settings.environment, settings.accountsUrl, settings.soid];
    if (!own) account.push(textOf('profile', settings.profile), textOf('profiles', settings.profiles));
    const hash = createHash('sha256').update(account.map((part) => part ?? '').join('\0'));
    return { tokenFile: join(folder, `token-${hash.digest('hex').slice(0, 24)}.json`) };
}

function cacheFolder(): string {
    if (process.platform === 'win32') return process.env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local');
    if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches');
    const cache = process.env.XDG_CACHE_HOME ?? '';
    return isAbsolute(cache) ? cache : join(homedir(), '.cache'); // XDG ignores a relative one: it is another in each working directory
}
