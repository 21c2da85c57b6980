// This file holds calls that are refused, and what the SDK makes of that.

import { Nango } from '@nangohq/node';

import { host, keys, nango, send, step } from './client.js';

export async function refused() {
    const stranger = new Nango({ host, secretKey: 'wrong-secret-key' });
    await step('wrong secret key', () => stranger.listIntegrations());
    await step('wrong secret key, gateway', () => stranger.get({ endpoint: '/x', providerConfigKey: 'acme-internal', connectionId: 'customer-1' }));

    await step('unknown provider', () => nango.getProvider({ provider: 'github' }));
    await step('unknown provider, create', () => nango.createIntegration({ provider: 'github', unique_key: 'gh' }));
    await step('unknown integration', () => nango.getIntegration({ uniqueKey: 'zzz' }));
    await step('unknown integration, update', () => nango.updateIntegration({ uniqueKey: 'zzz' }, { display_name: 'Z' }));
    await step('unknown integration, delete', () => nango.deleteIntegration('zzz'));
    await step('unknown integration, gateway', () => nango.get({ endpoint: '/x', providerConfigKey: 'zzz', connectionId: 'customer-1' }));
    await step('unknown integration, import', () =>
        send('POST', '/connections', { provider_config_key: 'zzz', credentials: { type: 'API_KEY', apiKey: keys.refused } })
    );

    await step('unknown connection', () => nango.getConnection('acme-internal', 'nobody'));
    await step('unknown connection, token', () => nango.getToken('acme-internal', 'nobody'));
    await step('unknown connection, metadata', () => nango.setMetadata('acme-internal', 'nobody', { a: 1 }));
    await step('unknown connection, patch', () =>
        nango.patchConnection({ connectionId: 'nobody', provider_config_key: 'acme-internal' }, { tags: { a: 'b' } })
    );
    await step('unknown connection, delete', () => nango.deleteConnection('acme-internal', 'nobody'));
    await step('unknown connection, gateway', () => nango.get({ endpoint: '/x', providerConfigKey: 'acme-internal', connectionId: 'nobody' }));
    await step('ill-formed connection', () => nango.get({ endpoint: '/x', providerConfigKey: 'acme-internal', connectionId: '../customer-1' }));

    await step('duplicate', () =>
        nango.createIntegration({
            provider: 'private-api-generic',
            unique_key: 'acme-internal',
            integration_config: { baseUrl: 'https://api.acme.com', keyName: 'Authorization' }
        })
    );
    await step('invalid config', () =>
        nango.createIntegration({
            provider: 'private-api-generic',
            unique_key: 'wrong',
            integration_config: { baseUrl: 'ftp://api.acme.com', keyPlacement: 'cookie', keyName: 'a b', valueTemplate: 'Bearer', keyPath: '/x' }
        })
    );
    await step('invalid config, update', () =>
        nango.updateIntegration({ uniqueKey: 'acme-internal' }, { integration_config: { keyName: '' } })
    );
    await step('of the Caddy config', () => nango.updateIntegration({ uniqueKey: 'fixed' }, { display_name: 'F' }));
    await step('of the Caddy config, delete', () => nango.deleteIntegration('fixed'));
    await step('live connections', () => nango.deleteIntegration('acme-internal'));
    await step('refused by the upstream', () => nango.get({ endpoint: '/absent', providerConfigKey: 'acme-internal', connectionId: 'customer-1' }));
}
