// This file holds how integrations are made, read, changed and deleted.

import { nango, step, upstream } from './client.js';

// odd has every character that a unique key may have.
export const odd = 'Acme @ EU: 2~x.y_z-1';

export async function create() {
    await step('listProviders', () => nango.listProviders());
    await step('getProvider', () => nango.getProvider({ provider: 'private-api-generic' }));

    // The call of Nango's page on this provider, as it stands there.
    await step('createIntegration', () =>
        nango.createIntegration({
            provider: 'private-api-generic',
            unique_key: 'acme-internal',
            display_name: 'Acme Internal API',
            integration_config: {
                baseUrl: 'https://api.acme.com',
                keyPlacement: 'header',
                keyName: 'Authorization',
                valueTemplate: 'Api-Key ${apiKey}',
                keyLabel: 'Acme API Key'
            }
        })
    );
    await step('getIntegration', () => nango.getIntegration({ uniqueKey: 'acme-internal' }, { include: ['webhook', 'credentials'] }));
    await step('updateIntegration', () =>
        nango.updateIntegration({ uniqueKey: 'acme-internal' }, { integration_config: { baseUrl: `${upstream}/v1` } })
    );

    await step('createIntegration, query', () =>
        nango.createIntegration({
            provider: 'private-api-generic',
            unique_key: 'acme-query',
            integration_config: { baseUrl: upstream, keyPlacement: 'query', keyName: 'api_key', valueTemplate: '${apiKey}' }
        })
    );
    await step('createIntegration, bearer', () =>
        nango.createIntegration({ provider: 'private-api-bearer', unique_key: odd, integration_config: { baseUrl: upstream } })
    );
    await step('updateIntegration, odd', () => nango.updateIntegration({ uniqueKey: odd }, { display_name: 'Odd' }));
    await step('getIntegration, odd', () => nango.getIntegration({ uniqueKey: odd }));
    await step('getIntegration, fixed', () => nango.getIntegration({ uniqueKey: 'fixed' }));
    await step('listIntegrations', () => nango.listIntegrations());
}

export async function remove() {
    for (const key of ['acme-internal', 'acme-query', odd]) {
        await step(`deleteIntegration, ${key}`, () => nango.deleteIntegration(key));
    }
    await step('listIntegrations, deleted', () => nango.listIntegrations());
}
