import { type CallOptions, perform } from './call';
import { renamed } from './error';
import { Places } from './places';
import { newConfig, type Settings } from './settings';

interface Granted {
    refreshToken: string;
    accessToken: string;
    apiDomain: string;
    scope: string;
    expiresIn: number;
}

/** What a grant code was exchanged for. It can be printed: neither `console.log` nor JSON shows the tokens. */
export class Grant {
    readonly #tokens: Pick<Granted, 'refreshToken' | 'accessToken'>;
    readonly apiDomain: string;
    readonly scope: string;
    /** Life of the access token in seconds. */
    readonly expiresIn: number;

    /** @internal */
    constructor({ apiDomain, scope, expiresIn, ...tokens }: Granted) {
        this.#tokens = tokens;
        this.apiDomain = apiDomain;
        this.scope = scope;
        this.expiresIn = expiresIn;
    }

    /** To keep: it doesn't expire. */
    get refreshToken(): string {
        return this.#tokens.refreshToken;
    }

    get accessToken(): string {
        return this.#tokens.accessToken;
    }
}

/**
 * Exchanges the setting `grantCode`, which is good for one use within minutes, for a refresh token to keep. Done once, when a connection is set up.
 * It needs `clientId`, `clientSecret`, `dataCenter` outside of the United States, and `redirectUri` if the code was made with one. A code that is
 * used up, expired or of another client is `ZCRM_E_AUTH`. https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
 */
export async function exchangeGrantCode(settings: Settings, options: Pick<CallOptions, 'signal'> = {}): Promise<Grant> {
    const operation = 'auth.exchange';
    const config = newConfig(settings);
    try {
        const { json } = await perform(new Places(1), undefined, operation, options, (call) => ({ operation, call, config: config.address }));
        return new Grant(renamed<{ result: Granted }>(JSON.parse(json ?? 'null')).result);
    } finally {
        config.free();
    }
}
