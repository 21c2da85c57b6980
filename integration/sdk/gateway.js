// This file holds calls through the gateway, in every way that the SDK has.

import { Nango } from '@nangohq/node';

import { host, nango, step, token, upstream } from './client.js';
import { odd } from './integrations.js';

const first = { providerConfigKey: 'acme-internal', connectionId: 'customer-1' };
const second = { providerConfigKey: 'acme-internal', connectionId: 'customer-2' };

export async function call() {
    await step('get', () => nango.get({ ...first, endpoint: '/users', params: { page: '2', q: 'a b' }, headers: { 'X-Caller': 'one' } }));
    await step('get, text params', () => nango.get({ ...second, endpoint: 'users', params: 'page=2&q=a%20b' }));
    await step('post', () => nango.post({ ...first, endpoint: '/users', data: { name: 'Ada' } }));
    await step('post, text', () => nango.post({ ...first, endpoint: '/users', data: 'a,b\n1,2\n', headers: { 'Content-Type': 'text/csv' } }));
    await step('put', () => nango.put({ ...first, endpoint: '/users/1', data: { name: 'Ada' }, retries: 2 }));
    await step('patch', () => nango.patch({ ...second, endpoint: '/users/1', data: { name: 'Bob' } }));
    await step('delete', () => nango.delete({ ...first, endpoint: '/users/1', data: { why: 'left' } }));
    await step('delete, bare', () => nango.delete({ ...first, endpoint: '/users/2' }));
    await step('proxy', () => nango.proxy({ ...first, endpoint: '/users' }));
    await step('proxy, PROPFIND', () => nango.proxy({ ...first, method: 'PROPFIND', endpoint: '/files' }));
    await step('proxy, query', () =>
        nango.proxy({ providerConfigKey: 'acme-query', connectionId: 'customer-1', method: 'POST', endpoint: '/search', params: { q: 'x' }, data: [1] })
    );
    await step('proxy, odd', () => nango.proxy({ providerConfigKey: odd, connectionId: 'Cust 1', method: 'get', endpoint: '/odd' }));
    await step('proxy, fixed', () => nango.proxy({ providerConfigKey: 'fixed', connectionId: 'customer-1', endpoint: '/fixed' }));
    await step('get, bytes', async () => {
        const got = await nango.get({ ...first, endpoint: '/bytes', responseType: 'arraybuffer', decompress: true });
        return { hex: Buffer.from(got.data).toString('hex') };
    });
    const script = new Nango({ host, apiKey: token, ...first, isSync: true, isScript: true, dryRun: true, activityLogId: 'log-1' });
    await step('get, of a script', () => script.get({ endpoint: '/script', forwardHeadersOnRedirect: true }));
}

export async function retry() {
    await step('retry, busy', () => nango.get({ ...first, endpoint: '/busy', retries: 3 }));
    await step('retry, limited', () => nango.put({ ...first, endpoint: '/limited', data: { n: 1 }, retries: 1 }));
    await step('retry, on', () => nango.get({ ...second, endpoint: '/teapot', retries: 2, retryOn: [418] }));
    await step('retry, none', () => nango.get({ ...first, endpoint: '/down' }));
    await step('retry, post', () => nango.post({ ...first, endpoint: '/down', data: {}, retries: 5 }));
    await step('retry, too often', () => nango.get({ ...first, endpoint: '/down', retries: 11 }));
}

export async function override() {
    await step('override', () => nango.get({ ...first, endpoint: '/users', baseUrlOverride: `${upstream}/v2` }));
    await step('override, unlisted', () => nango.get({ ...first, endpoint: '/users', baseUrlOverride: 'https://api.other.example' }));
}
