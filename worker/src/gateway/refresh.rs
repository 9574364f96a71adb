//! The catalog of the fleet: one node reads what the providers list and keeps it in Redis; every node takes it from
//! there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use windlass_llm::{
    ListedModel,
    catalog::{Listing, Listings},
};

use super::Gateway;

/// One node of the fleet reads the lists this often.
const EVERY: Duration = Duration::from_hours(6);
/// Every node looks for a newer catalog this often.
const LOOK: Duration = Duration::from_mins(5);

/// Keeps the catalog up to date until it is dropped.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    loop {
        round(&gateway).await;
        tokio::time::sleep(LOOK).await;
    }
}

async fn round(gateway: &Gateway) {
    let Ok(gate) = gateway.gate() else { return };
    let mut read = BTreeMap::new();
    for served in gateway.served.values().filter(|served| served.spec.list_models) {
        let provider = &served.spec.name;
        if !gate.may_refresh_catalog(provider, EVERY).await.unwrap_or(false) {
            continue;
        }
        match served.provider.models(0).await {
            Ok(models) => drop(read.insert(provider.clone(), models.iter().map(listing).collect())),
            Err(error) => {
                tracing::warn!(%provider, class = %error.class, %error, "models could not be listed");
            }
        }
    }
    if !read.is_empty() {
        // What other nodes read of other providers stays.
        let known = gate.catalog().await.ok().flatten();
        let mut listings = known.and_then(|(_, json)| Listings::from_json(&json).ok()).unwrap_or_default();
        listings.0.extend(read);
        if let Err(error) = gate.set_catalog(&listings.to_json()).await {
            tracing::warn!(%error, "the listings of models could not be kept");
        }
    }
    match gate.catalog().await {
        Ok(Some((_, json))) => match Listings::from_json(&json) {
            Ok(listings) => {
                let mut catalog = gateway.base.clone();
                catalog.add_listings(&listings);
                gateway.set_catalog(catalog, listings.0.into_keys());
            }
            Err(why) => tracing::warn!(%why, "the fleet's listings of models cannot be read"),
        },
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "the fleet's listings of models could not be asked for"),
    }
}

fn listing(model: &ListedModel) -> Listing {
    let number = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
    Listing {
        id: model.id.clone(),
        name: model.name.clone(),
        context: number(model.context),
        max_output: number(model.max_output),
        price: model.price.as_ref().and_then(price),
        input_modalities: model.input_modalities.clone(),
        output_modalities: model.output_modalities.clone(),
        parameters: model.parameters.clone(),
        expires: model.expires.clone(),
    }
}

fn price(listed: &windlass_llm::ListedPrice) -> Option<windlass_llm::cost::Price> {
    use windlass_llm::{Nano, cost::Price};
    Some(Price {
        input: Nano::from_usd(listed.input?)?,
        output: Nano::from_usd(listed.output?)?,
        cached_input: listed.cached_input.and_then(Nano::from_usd),
        cache_write: listed.cache_write.and_then(Nano::from_usd),
        request: Nano::from_usd(listed.request.unwrap_or(0.0))?,
        tiers: Vec::new(),
    })
}
