const { delimiter } = require('node:path');

/**
 * What the form of an account says, as options of a client. Further settings stand one a line, `name = value`, as the library names them.
 * @param {Record<string, string>} config
 * @param {Record<string, string>} credentials
 * @param {string} spool  a folder that steps may name beside those that are allowed
 */
function settingsOf(config, credentials, spool) {
    const { profile, dataCenter, environment, clientId } = config;
    const login = profile ? { profile } : { dataCenter, environment, clientId, ...credentials };
    const given = Object.entries(login).filter(([, value]) => value);
    const folders = (config.allowPaths ?? '').split('\n').map((folder) => folder.trim());
    const allowPaths = [...folders, spool].filter(Boolean).join(delimiter);
    return { ...Object.fromEntries(given), ...further(config.settings ?? ''), allowPaths };
}

/** @param {string} text */
function further(text) {
    const lines = text.split('\n').map((line) => line.trim());
    return Object.fromEntries(lines.filter((line) => line && !line.startsWith('#')).map(setting));
}

/** @param {string} line */
function setting(line) {
    const at = line.indexOf('=');
    if (at < 1) throw new Error(`further settings: "${line}" is not of the form "name = value"`);
    const name = line.slice(0, at).trim();
    if (name === 'allow_paths' || name === 'profile') throw new Error(`further settings: ${name} has a field of its own`);
    return [name, line.slice(at + 1).trim()];
}

module.exports = { settingsOf };
