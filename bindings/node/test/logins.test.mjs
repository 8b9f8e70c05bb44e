// Where a client's login comes from: a profile, a grant code.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { Client, exchangeGrantCode, Grant } from 'zcrm';
import { emulator, failure, world } from './world.mjs';

emulator();

/** What `zcrm login` would write. */
function profiles(file, sections) {
    const lines = Object.entries(sections).map(([name, settings]) => [
        `["${name}"]`,
        ...Object.entries(settings).map(([key, value]) => `${key} = "${value}"`),
    ]);
    writeFileSync(file, `${lines.flat().join('\n')}\n`, { mode: 0o600 });
    return file;
}

suite('a profile', () => {
    let w;
    let own;
    let settings;
    beforeEach(async () => {
        w = await world();
        process.env.XDG_CONFIG_HOME = join(w.folder, 'config');
        process.env.XDG_CACHE_HOME = join(w.folder, 'cache');
        own = join(w.folder, 'config', 'zcrm', 'profiles.toml');
        mkdirSync(join(w.folder, 'config', 'zcrm'), { recursive: true });
        const { client_id, client_secret, refresh_token } = w.credentials;
        settings = { api_domain: w.url, accounts_url: w.url, client_id, client_secret, refresh_token };
    });
    const list = (options) => new Client(options).record('Contacts', w.id).list();
    const tokens = async () => (await w.ledger()).requests.filter(({ operation }) => operation === 'token').length;

    test('of this user is the login of a client, by its name or as the default', async () => {
        profiles(own, { default: settings, 'work one': settings });
        await list({ profile: '' });
        await list({ profile: 'default' });
        await list({ profile: 'work one' });
    });

    test('may be in another file, which a path or a URL names', async () => {
        const file = profiles(join(w.folder, 'others.toml'), { default: settings, work: settings });
        await list({ profiles: file });
        await list({ profiles: pathToFileURL(file), profile: 'work' });
    });

    test('stands behind every option of the client', async () => {
        profiles(own, { default: { ...settings, refresh_token: '1000.wrong' } });
        assert.equal((await failure(list({ profile: '' }))).code, 'ZCRM_E_AUTH');
        await list({ refreshToken: w.credentials.refresh_token, profile: '' });
    });

    test('shares its token with the other processes of the user, unless told otherwise', async () => {
        profiles(own, { default: settings, filed: { ...settings, token_file: join(w.folder, 'token') } });
        await list({ profile: '', tokenFile: null });
        await list({ profile: 'filed', tokenFile: null });
        assert.equal(existsSync(join(w.folder, 'cache')) || existsSync(join(w.folder, 'token')), false, 'a file without being asked for');
        await list({ profile: 'filed' });
        assert.equal(existsSync(join(w.folder, 'token')), true, 'what the profile says of it');
        for (let n = 0; n < 3; n++) await list({ profile: '' });
        assert.equal(readdirSync(join(w.folder, 'cache', 'zcrm')).filter((name) => /^token-[0-9a-f]{24}\.json$/.test(name)).length, 1);
        assert.equal(await tokens(), 4);
    });

    test('that is wrong, absent or open to others is told', async () => {
        profiles(own, { default: settings });
        const typo = profiles(join(w.folder, 'typo'), { default: { client_idd: 'x' } });
        const open = profiles(join(w.folder, 'open'), { default: settings });
        chmodSync(open, 0o644);
        for (const [options, ...expected] of [
            [{ profile: 'other' }, 'ZCRM_E_CONFIG', 'profile_absent', undefined],
            [{ profiles: '/nowhere/profiles.toml' }, 'ZCRM_E_CONFIG', 'profile_absent', undefined],
            [{ profiles: open }, 'ZCRM_E_CONFIG', 'profile_mode', undefined],
            [{ profiles: typo }, 'ZCRM_E_CONFIG', 'unknown_key', undefined],
            [{ profile: 'default\0other' }, 'ZCRM_E_ARGUMENT', 'argument', 'profile'],
            [{ profiles: `${own}\0` }, 'ZCRM_E_ARGUMENT', 'argument', 'profiles'],
            [{ 'accessToken\0': 'x' }, 'ZCRM_E_ARGUMENT', 'argument', 'accessToken\0'],
            [{ profile: 5 }, 'ZCRM_E_ARGUMENT', 'argument', 'profile'],
        ]) {
            const { code, reason, field } = await failure((async () => new Client(options))());
            assert.deepEqual([code, reason, field], expected, inspect(options));
        }
    });
});

suite('a grant code', () => {
    test('becomes a refresh token, once, and no print shows it', async () => {
        const { url, credentials, grantCode, id } = await world();
        const login = { apiDomain: url, accountsUrl: url, clientId: credentials.client_id, clientSecret: credentials.client_secret };
        const given = { ...login, grantCode: await grantCode() };
        const grant = await exchangeGrantCode(given);
        assert.ok(grant instanceof Grant && grant.apiDomain && grant.scope && grant.expiresIn === 3600);
        for (const text of [inspect(grant), inspect(grant, { showHidden: true, depth: 9 }), JSON.stringify({ grant }), String(grant)]) {
            assert.ok(!text.includes(grant.refreshToken) && !text.includes(grant.accessToken), text);
        }
        await new Client({ ...login, refreshToken: grant.refreshToken, tokenFile: null }).record('Contacts', id).list();
        const again = await failure(exchangeGrantCode(given));
        assert.deepEqual([again.code, again.operation], ['ZCRM_E_AUTH', 'auth.exchange']);
    });

    test('that is missing or wrongly set is told by its name, and nothing is sent', async () => {
        const { url, credentials, ledger } = await world();
        const login = { accountsUrl: url, clientId: credentials.client_id, clientSecret: credentials.client_secret };
        const missing = await failure(exchangeGrantCode(login));
        assert.equal(missing.code, 'ZCRM_E_CONFIG');
        assert.match(missing.message, /grant_code/);
        const unknown = await failure(exchangeGrantCode({ ...login, grantcode: 'x' }));
        assert.match(unknown.message, /grant_code/);
        assert.deepEqual((await ledger()).requests, []);
    });

    test('that is not answered is given up with its signal', async () => {
        const { url, credentials, grantCode, fault } = await world();
        await fault('token', { kind: 'stall', at: 'before_reply' });
        const login = { accountsUrl: url, clientId: credentials.client_id, clientSecret: credentials.client_secret, grantCode: await grantCode() };
        const error = await failure(exchangeGrantCode(login, { signal: AbortSignal.timeout(100) }));
        assert.deepEqual([error.name, error.code], ['AbortError', 'ZCRM_E_CANCELLED']);
    });
});
