// This file holds how connections are entered, found, described and deleted.

import { keys, nango, send, step } from './client.js';
import { odd } from './integrations.js';

// enter imports a connection. The SDK has no method for that.
const enter = (integration, id, apiKey, more) =>
    send('POST', '/connections', {
        provider_config_key: integration,
        connection_id: id,
        credentials: { type: 'API_KEY', apiKey },
        ...more
    });

const ada = {
    id: 'user-7',
    email: 'ada@example.com',
    display_name: 'Ada',
    organization: { id: 'org-3', display_name: 'Analytical' }
};

export async function connect() {
    await step('import', () =>
        enter('acme-internal', 'customer-1', keys.first, {
            end_user: ada,
            tags: { Plan: 'pro' },
            metadata: { region: 'eu', limits: { daily: 10 } },
            connection_config: { tenant: 't1' }
        })
    );
    await step('import, second', () => enter('acme-internal', 'customer-2', keys.second, { tags: { plan: 'free' } }));
    await step('import, query', () => enter('acme-query', 'customer-1', keys.query));
    await step('import, odd', () => enter(odd, 'Cust 1', keys.odd));
    await step('import, fixed', () => enter('fixed', 'customer-1', keys.fixed));
    await step('import, no id', () => enter('acme-internal', undefined, keys.unnamed));
}

export async function find() {
    await step('listConnections', () => nango.listConnections());
    await step('listConnections, id', () => nango.listConnections({ connectionId: 'customer-1' }));
    await step('listConnections, integration', () => nango.listConnections({ integrationId: 'acme-query' }));
    await step('listConnections, integrations', () => nango.listConnections({ integrationId: ['acme-query', odd] }));
    await step('listConnections, user', () => nango.listConnections({ userId: 'user-7' }));
    await step('listConnections, tag', () => nango.listConnections({ tags: { Plan: 'free' } }));
    await step('listConnections, tags', () => nango.listConnections({ tags: { plan: 'pro', email: 'ada@example.com', displayName: 'Ada' } }));
    await step('listConnections, none', () => nango.listConnections({ tags: { plan: 'pro', email: 'bob@example.com' } }));
    const pages = [];
    for (const page of [0, 1, 2]) {
        pages.push((await nango.listConnections({ limit: 2, page })).connections.map((c) => `${c.provider_config_key}/${c.connection_id}`));
    }
    await step('listConnections, pages', () => ({ pages, different: new Set(pages.flat()).size }));
    // The former signature.
    await step('listConnections, former id', () => nango.listConnections('customer-2'));
    await step('listConnections, former search', () => nango.listConnections(undefined, 'ADA@'));
    await step('listConnections, former user', () => nango.listConnections(undefined, undefined, { endUserId: 'user-7' }));
    await step('listConnections, former organization', () => nango.listConnections(undefined, undefined, { endUserOrganizationId: 'org-3', limit: 5 }));
}

export async function describe() {
    await step('getConnection', () => nango.getConnection('acme-internal', 'customer-1'));
    await step('getConnection, refreshed', () => nango.getConnection('acme-internal', 'customer-1', true, true, true));
    await step('getConnection, odd', () => nango.getConnection(odd, 'Cust 1'));
    await step('getToken', () => nango.getToken('acme-internal', 'customer-1'));
    await step('getRawTokenResponse', async () => ({ raw: (await nango.getRawTokenResponse('acme-internal', 'customer-1')) ?? null }));

    await step('setMetadata', () => nango.setMetadata('acme-internal', 'customer-1', { region: 'us', seats: 3 }));
    await step('updateMetadata', () => nango.updateMetadata('acme-internal', ['customer-1', 'customer-2'], { seats: 4 }));
    await step('getMetadata', () => nango.getMetadata('acme-internal', 'customer-1'));
    await step('getMetadata, second', () => nango.getMetadata('acme-internal', 'customer-2'));

    await step('patchConnection', () =>
        nango.patchConnection(
            { connectionId: 'customer-1', provider_config_key: 'acme-internal' },
            { end_user: { ...ada, display_name: 'Countess' }, tags: { plan: 'gold' } }
        )
    );
    await step('getConnection, patched', () => nango.getConnection('acme-internal', 'customer-1'));
}

export async function rotate() {
    await step('import, again', () => enter('acme-internal', 'customer-1', keys.again));
    await step('call, again', () => nango.get({ endpoint: '/again', providerConfigKey: 'acme-internal', connectionId: 'customer-1' }));
    await step('rotate', () =>
        send('PUT', '/connections/customer-1/credentials?provider_config_key=acme-internal', { apiKey: keys.rotated })
    );
    await step('call, rotated', () => nango.get({ endpoint: '/rotated', providerConfigKey: 'acme-internal', connectionId: 'customer-1' }));
    await step('getConnection, rotated', () => nango.getConnection('acme-internal', 'customer-1'));
    await step('updateIntegration, template', () =>
        nango.updateIntegration({ uniqueKey: 'acme-internal' }, { integration_config: { valueTemplate: 'Token ${apiKey}' } })
    );
    await step('call, template', () => nango.get({ endpoint: '/template', providerConfigKey: 'acme-internal', connectionId: 'customer-1' }));
}

export async function disconnect() {
    const { connections } = await nango.listConnections();
    for (const c of connections) {
        await step(`deleteConnection, ${c.provider_config_key}`, () => nango.deleteConnection(c.provider_config_key, c.connection_id));
    }
    await step('listConnections, deleted', () => nango.listConnections());
    await step('getConnection, deleted', () => nango.getConnection('acme-internal', 'customer-1'));
    await step('call, deleted', () => nango.get({ endpoint: '/deleted', providerConfigKey: 'acme-internal', connectionId: 'customer-1' }));
}
