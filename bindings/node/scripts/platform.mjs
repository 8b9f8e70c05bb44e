// Makes the package of one platform: the library alone. npm installs the one that fits the machine.
//   node scripts/platform.mjs LIBRARY FOLDER [PLATFORM]      PLATFORM: linux-x64-gnu, linux-arm64-musl, darwin-arm64, win32-x64, …
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const libc = () => (process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl');
const here = () => [process.platform, process.arch, ...(process.platform === 'linux' ? [libc()] : [])].join('-');

const [library, folder, platform = here()] = process.argv.slice(2);
if (!folder) throw new Error('usage: platform.mjs LIBRARY FOLDER [PLATFORM]');
const [os, cpu, abi] = platform.split('-');
const main = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const file = basename(library);

mkdirSync(folder, { recursive: true });
copyFileSync(library, join(folder, file));
for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) copyFileSync(new URL(`../../../${name}`, import.meta.url), join(folder, name));
execFileSync(fileURLToPath(new URL('../../../packaging/licences/collect', import.meta.url)), [join(folder, 'licences')], { stdio: 'inherit' });
const description = {
    name: `@zcrm/${platform}`,
    version: main.version,
    description: `The native library of the package zcrm, for ${platform}`,
    license: main.license,
    repository: main.repository,
    os: [os],
    cpu: [cpu],
    ...(abi ? { libc: [abi === 'gnu' ? 'glibc' : abi] } : {}),
    files: [file, 'LICENSE-MIT', 'LICENSE-APACHE', 'licences'],
};
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(description, null, 2)}\n`);
