import { randomUUID } from 'node:crypto';
import * as koffi from 'koffi';
import { CALLBACKS, CONSTANTS, FUNCTIONS, STRUCTS } from './generated';

/** Where something of the library lies. */
export type Address = bigint;

type FunctionName = keyof typeof FUNCTIONS;
// biome-ignore lint/suspicious/noExplicitAny: what a function takes and gives is in the header, not in a type
type Native = (...args: any[]) => any;

export interface Library {
    readonly path: string;
    /** A function of zcrm.h by its name without "zcrm_". */
    readonly call: { readonly [Name in FunctionName as Name extends `zcrm_${infer Short}` ? Short : never]: Native };
    /** Makes a function of JavaScript one of C, for as long as this thread lives. */
    callback(name: string, fn: Native): Address;
}

/** A value of another type than a field of C has. */
export class Unfit {
    constructor(
        readonly field: string,
        readonly problem: string,
    ) {}
}

/** What koffi makes the field of a struct from. Nothing is zero, which is the default of each field. */
function field(name: string, type: string, value: unknown): unknown {
    if (type === 'zcrm_str') {
        if (value === undefined) return { ptr: null, len: 0 };
        if (typeof value !== 'string') throw new Unfit(name, `is no text but ${typeof value}`);
        return { ptr: value, len: Buffer.byteLength(value) };
    }
    if (type.endsWith('*')) return value ?? null;
    if (value === undefined) return 0;
    if (!Number.isSafeInteger(value)) throw new Unfit(name, `is ${value}, which is no whole number`);
    const most = type.includes('32') ? 2 ** (type.startsWith('u') ? 32 : 31) - 1 : Number.MAX_SAFE_INTEGER;
    if ((value as number) < 0 && /^u|^size/.test(type)) throw new Unfit(name, `is ${value}, which is less than 0`);
    if ((value as number) > most) throw new Unfit(name, `is ${value}, which is more than ${most}`);
    return value;
}

const LOAD = randomUUID().replaceAll('-', '');

/** koffi has one list of types in a thread, and this package may be loaded twice there, perhaps in two versions: each has names of its own. */
const own = (text: string) => text.replace(/\bzcrm_\w+/g, (name) => (name in STRUCTS || name in CALLBACKS ? `${name}_${LOAD}` : name));

/** A struct of zcrm.h for koffi. */
export function struct(name: string, values: Record<string, unknown>): Record<string, unknown> {
    const types = Object.entries(STRUCTS[name] as Record<string, string>);
    return Object.fromEntries(types.map(([of, type]) => [of, field(of, type, of === 'struct_size' ? koffi.sizeof(own(name)) : values[of])]));
}

let loaded: Library | undefined;

/** The library, loaded at the first use in this thread: from `path`, ZCRM_LIBRARY, or the package of this platform. */
export function library(path?: string): Library {
    loaded ??= load(path ?? find());
    return loaded;
}

function load(path: string): Library {
    const lib = opened(path);
    for (const [name, fields] of Object.entries(STRUCTS)) {
        koffi.struct(own(name), Object.fromEntries(Object.entries(fields).map(([field, type]) => [field, own(type)])));
    }
    const version = lib.func('uint32_t zcrm_abi_version()')();
    if (version !== CONSTANTS.ABI_VERSION) {
        throw new Error(`zcrm: ${path} has ABI ${version}, and this package was made for ABI ${CONSTANTS.ABI_VERSION}; install both in one version`);
    }
    // Each function is looked up when it is first called: a batch from a source is no reason to refuse a library that has all the rest.
    const call: Record<string, Native> = {};
    for (const [name, prototype] of Object.entries(FUNCTIONS)) {
        let native: Native | undefined;
        call[name.slice('zcrm_'.length)] = (...args) => {
            native ??= lib.func(own(prototype));
            return native(...args);
        };
    }
    const callback = (name: string, fn: Native) => koffi.register(fn, koffi.pointer(koffi.proto(own(CALLBACKS[`zcrm_${name}`] as string))));
    return { path, call: call as Library['call'], callback };
}

function opened(path: string): koffi.LibraryHandle {
    try {
        return koffi.load(path);
    } catch (cause) {
        throw new Error(`zcrm: the library ${path} can't be loaded: ${(cause as Error).message.trim()}`, { cause });
    }
}

const FILE: Partial<Record<NodeJS.Platform, string>> = { win32: 'zcrm.dll', darwin: 'libzcrm.dylib' };

/** npm installs the one package that fits this machine. */
function find(): string {
    if (process.env.ZCRM_LIBRARY) return process.env.ZCRM_LIBRARY;
    const machine = `${process.platform}-${process.arch}`;
    const names = process.platform === 'linux' ? [`${machine}-gnu`, `${machine}-musl`] : [machine];
    for (const name of names) {
        try {
            return require.resolve(`@zcrm/${name}/${FILE[process.platform] ?? 'libzcrm.so'}`);
        } catch {
            // The other one, or none.
        }
    }
    throw new Error(
        `zcrm: the library for this machine isn't installed: the package @zcrm/${names.join(' or @zcrm/')} is missing. ` +
            'npm installs it unless it was told --omit=optional. Or let ZCRM_LIBRARY name a libzcrm.so that you have built.',
    );
}

const forgotten = new FinalizationRegistry<() => void>((free) => free());

/** A handle of the library. It is freed when nobody has it any more, or before. */
export class Handle {
    readonly address: Address;
    readonly #free: () => void;

    constructor(address: Address, free: (address: Address) => void) {
        this.address = address;
        this.#free = () => free(address);
        forgotten.register(this, this.#free, this);
    }

    free(): void {
        if (forgotten.unregister(this)) this.#free();
    }
}
