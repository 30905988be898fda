//! Reads SSM parameters: ten names per call, all calls at the same time.

use futures_util::future::try_join_all;
use monitor_config::{Parameters, Prefix, Wanted, part_name};

use crate::failure::Failure;
use crate::sdk::{Sdk, describe};

/// The most names that SSM accepts in one call.
const NAMES_PER_CALL: usize = 10;

/// Reads the wanted parameters. A list is read one part beyond its known end, and further if the calls have room; only
/// a longer list needs another round of calls.
pub(crate) async fn read(
    sdk: &Sdk,
    prefix: &Prefix,
    wanted: &Wanted,
    known: &Parameters,
) -> Result<Parameters, Failure> {
    let mut asked: Vec<(&str, usize)> =
        wanted.lists.iter().map(|list| (*list, known.parts_of(list).max(1) + 1)).collect();
    let count = wanted.single.len() + asked.iter().map(|(_, parts)| parts).sum::<usize>();
    let room = count.next_multiple_of(NAMES_PER_CALL) - count;
    let lists = asked.len().max(1);
    for (index, (_, parts)) in asked.iter_mut().enumerate() {
        *parts += room / lists + usize::from(index < room % lists);
    }
    let parts = asked.iter().flat_map(|(list, parts)| (1..=*parts).map(|number| part_name(list, number)));
    let mut names: Vec<String> = wanted.single.iter().map(|name| (*name).to_owned()).chain(parts).collect();
    let mut values = Vec::new();
    while !names.is_empty() {
        let found = try_join_all(names.chunks(NAMES_PER_CALL).map(|names| call(sdk, prefix, names))).await?;
        values.extend(found.into_iter().flatten());
        names = Vec::new();
        for (list, parts) in &mut asked {
            let last = part_name(list, *parts);
            if values.iter().any(|(name, _)| *name == last) {
                names.extend((1..=NAMES_PER_CALL).map(|further| part_name(list, *parts + further)));
                *parts += NAMES_PER_CALL;
            }
        }
    }
    Ok(values.into_iter().collect())
}

/// Reads up to ten parameters. Those that do not exist are omitted.
async fn call(sdk: &Sdk, prefix: &Prefix, names: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let full: Vec<String> = names.iter().map(|name| prefix.name_of(name)).collect();
    let call = sdk.ssm().get_parameters().set_names(Some(full)).with_decryption(true);
    let answer = call.send().await.map_err(|error| {
        let what = describe(&error);
        let folder = prefix.name_of("*");
        Failure::Parameters(format!("{what}; the function's role needs ssm:GetParameters on {folder}, and kms:Decrypt on the key of the SecureString parameters"))
    })?;
    let below = prefix.name_of("");
    let read = answer.parameters().iter().filter_map(|parameter| {
        let name = parameter.name()?.strip_prefix(&below)?;
        Some((name.to_owned(), parameter.value()?.to_owned()))
    });
    Ok(read.collect())
}
