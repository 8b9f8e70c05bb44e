// Writes src/generated.ts: what include/zcrm.h and the description of the steps say, so that it stands nowhere a second time.
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('../../../', import.meta.url);
const header = readFileSync(new URL('include/zcrm.h', root), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
const description = JSON.parse(readFileSync(new URL('src/step/description.json', root), 'utf8'));

const constants = Object.fromEntries([...header.matchAll(/^#define ZCRM_(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
const structs = {};
const callbacks = {};
const functions = {};

// The type of a field or a parameter as koffi writes it. Handles, and what a callback is given, are addresses.
function typeOf(text) {
    const type = text
        .replace(/\b(const|struct|enum)\b/g, '')
        .replace(/\s+/g, ' ')
        .replace(/ ?\* ?/g, '*')
        .trim();
    if (type === 'char*') return 'const char *';
    if (type === 'char**') return 'void *';
    if (type.endsWith('**')) return '_Out_ void **';
    if (type === 'size_t*') return '_Out_ size_t *';
    if (type.endsWith('*')) return structs[type.slice(0, -1)] ? `${type.slice(0, -1)} *` : 'void *';
    return type.endsWith('_fn') ? 'void *' : type === 'zcrm_status' ? 'int32_t' : type;
}

const parameters = (text) =>
    text
        .split(',')
        .map((one) => /^(.*?)(\w+)$/s.exec(one.trim()))
        .filter(Boolean)
        .map(([, type, name]) => [name, type]);

for (const [, name, body] of header.matchAll(/typedef struct (zcrm_\w+) \{([^{}]*)\} \1;/g)) {
    if (body.includes('(*')) continue; // the table of a host without a header
    structs[name] = Object.fromEntries(
        body
            .split(';')
            .map((line) => /^\s*(.*?)(\w+)$/s.exec(line.trim()))
            .filter(Boolean)
            .map(([, type, field]) => [field, typeOf(type).replace(/^zcrm_call \*$|^zcrm_cancel \*$/, 'void *')]),
    );
}
for (const [, result, name, list] of header.matchAll(/typedef (\w+) \(\*(zcrm_\w+)_fn\)\(([^)]*)\);/g)) {
    callbacks[name] = `${typeOf(result)} ${name}(${parameters(list)
        .map(([n, t]) => `${typeOf(t).replace(/^(?:_Out_ )?(?:void \*\*|size_t \*|const char \*|zcrm_str \*)$/, 'void *')} ${n}`)
        .join(', ')})`;
}
for (const [, result, name, list] of header.matchAll(/ZCRM_API\s+([\w\s]+?[\s*]+)(zcrm_\w+)\(([^)]*)\);/g)) {
    functions[name] = `${typeOf(result)} ${name}(${parameters(list)
        .map(([n, t]) => `${typeOf(t)} ${n}`)
        .join(', ')})`;
}

// JSON Schema as a TypeScript type.
function typescript(schema) {
    if (schema.anyOf ?? schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(typescript).join(' | ');
    if (schema.const !== undefined) return JSON.stringify(schema.const);
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
    const kinds = [schema.type ?? []].flat();
    return (
        kinds
            .map(
                (kind) =>
                    ({ array: () => `Array<${typescript(schema.items)}>`, object: () => object(schema), integer: () => 'number' })[kind]?.() ?? kind,
            )
            .join(' | ') || 'unknown'
    );
}
const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
function object({ properties, required = [] }) {
    if (!properties) return 'Record<string, unknown>';
    const fields = Object.entries(properties).map(([name, schema]) => {
        const comment = schema.description ? `/** ${schema.description.replaceAll('*/', '').replaceAll('\n', ' ')} */\n` : '';
        return `${comment}${camel(name)}${required.includes(name) ? '' : '?'}: ${typescript(schema)};\n`;
    });
    return `{\n${fields.join('')}}`;
}
const output = (id) => description.operations.find((operation) => operation.id === id).output;
const result = (id) => output(id).properties.result;
const { operation: _, result: __, ...effort } = output('attachment.list').properties;
const { items: ___, ...summary } = result('batch').properties;
const words = (list) => list.map((word) => `    | ${JSON.stringify(word)}`).join('\n');

writeFileSync(
    new URL('../src/generated.ts', import.meta.url),
    `// Written by scripts/generate.mjs from zcrm.h and the description of the steps.
/* eslint-disable */
export const CONSTANTS = ${JSON.stringify(constants, null, 4)} as const;
export const STRUCTS: Record<string, Record<string, string>> = ${JSON.stringify(structs, null, 4)};
export const CALLBACKS: Record<string, string> = ${JSON.stringify(callbacks, null, 4)};
export const FUNCTIONS = ${JSON.stringify(functions, null, 4)} as const;

/** The class of a failure, as \`code\` of a {@link ZcrmError}. Later versions of the library may have more. */
export type Status =
${words(description.statuses.map((status) => status.name))};

/** A setting of the library, as {@link describe} lists them. */
export type SettingName =
${words(description.settings.map((setting) => setting.name))};

/** What a call took. */
export interface Effort ${object({ properties: effort, required: output('attachment.list').required })}

/** What became of an upload. */
export interface Uploaded extends Effort ${object(result('attachment.upload').anyOf[0])}

/** An attachment, as the list shows it. */
export interface Attachment ${object(result('attachment.list').properties.attachments.items)}

/** A page of a list. */
export interface Page extends Effort {
    attachments: Attachment[];
    moreRecords: boolean;
    nextPageToken?: string | null;
}

/** What a download gave. */
export interface Downloaded extends Effort ${object(result('attachment.download')).replace(/\/\*\*[^\n]*\nbase64\?:[^\n]*\n/, '')}

/** What became of a photo's upload. */
export interface PhotoUploaded extends Effort ${object(result('photo.upload'))}

/** How a batch ended. */
export interface BatchSummary ${object({ properties: summary, required: result('batch').required })}

/** Everything that is known of one failure. */
export interface Failure ${object(description.error)}
`,
);
