// Puts the licences of the repository into the package: licences.mjs [FOLDER]
import { copyFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const to = process.argv[2] ? pathToFileURL(`${resolve(process.argv[2])}/`) : new URL('../', import.meta.url);
for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) copyFileSync(new URL(`../../../${name}`, import.meta.url), new URL(name, to));
