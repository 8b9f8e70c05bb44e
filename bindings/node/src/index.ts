import { library } from './library';

export type { CallOptions } from './call';
export { type BatchEnd, type BatchOptions, type BatchStep, Client, type ClientOptions, DEFAULT_MAX_CALLS, type Step } from './client';
export { ZcrmError } from './error';
export type { Attachment, BatchSummary, Downloaded, Effort, Page, PhotoUploaded, SettingName, Status, Uploaded } from './generated';
export { exchangeGrantCode, Grant } from './grant';
export type { ClientHooks, LogLevel } from './hooks';
export {
    type AttachmentUploadOptions,
    CrmRecord,
    type DownloadOptions,
    type LinkOptions,
    type ListOptions,
    Photo,
    type PhotoUploadOptions,
    type RecordsOptions,
    type UploadOptions,
    type WalkOptions,
} from './record';
export type { ProfileOptions, Settings } from './settings';
export type { Sink } from './sink';
export type { Source, Stream } from './source';

/** What steps, settings and statuses the library has, and the JSON Schemas of input and output: see zcrm_step_describe() of zcrm.h. */
// biome-ignore lint/suspicious/noExplicitAny: a document with a schema of its own
export function describe(): any {
    return JSON.parse(library().call.step_describe());
}

/** The version of the library that is loaded. */
export function version(): string {
    return library().call.version();
}
