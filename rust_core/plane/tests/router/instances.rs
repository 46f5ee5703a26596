//! Instances that come and go, and what the mesh says of them.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use waypost_plane::proto::v1::{self, InstanceState, mesh_service_client::MeshServiceClient};

use crate::fake::{self, Worker, embed, embedded, instance_of, model, within};

async fn check(channel: &Channel, name: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: name.into() };
    let checked = HealthClient::new(channel.clone()).check(request).await;
    checked.map(|response| response.into_inner().status()).map_err(|status| status.code())
}

#[tokio::test]
async fn health_tells_services_and_models_apart_and_follows_the_workers() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let channel = fake::channel(&router).await;
        fake::until(&channel, "models/m", ServingStatus::Serving).await;
        for (name, state) in [
            ("", Ok(ServingStatus::Serving)),
            ("waypost.v1.EmbedService", Ok(ServingStatus::Serving)),
            ("waypost.v1.GenerateService", Ok(ServingStatus::NotServing)),
            ("waypost.v1.MeshService", Ok(ServingStatus::Serving)),
            ("models/other", Err(Code::NotFound)),
        ] {
            assert_eq!(check(&channel, name).await, state, "{name:?}");
        }
        worker.kill();
        for name in ["", "waypost.v1.EmbedService", "models/m"] {
            fake::until(&channel, name, ServingStatus::NotServing).await;
        }
        router.set_instances(vec![]);
        assert_eq!(check(&channel, "models/m").await, Err(Code::NotFound));
    })
    .await;
}

#[tokio::test]
async fn an_instance_taken_off_the_list_finishes_what_it_has_and_the_others_stay_as_they_are() {
    within(async {
        let gate = Arc::new(Semaphore::new(0));
        let opened = gate.clone();
        let worker = Worker::named("a").embedding(move |_| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.expect("stays open").forget();
                Ok(embedded("a"))
            }
        });
        let (leaving, staying) = (worker.start(), Worker::named("b").with(model("n")).start());
        let router = fake::router(&[&leaving, &staying], json!({})).await;
        let client = fake::client(&router, &["models/m", "models/n"]).await;
        client.clone().embed(embed("n")).await.expect("is answered");
        let mut caller = client.clone();
        let call = tokio::spawn(async move { caller.embed(embed("m")).await });
        fake::until_in_flight(&router, "a", 1).await;
        router.set_instances(vec![staying.address.clone(), staying.address.clone()]);
        let status = client.clone().embed(embed("m")).await.expect_err("is gone");
        assert_eq!(status.code(), Code::NotFound);
        client.clone().embed(embed("n")).await.expect("is answered");
        assert_eq!(fake::instance(&router, "b")["requests"], 2, "its figures are kept");
        opened.add_permits(1);
        assert_eq!(instance_of(call.await.expect("ends").expect("is answered")), "a");
    })
    .await;
}

#[tokio::test]
async fn the_mesh_lists_models_once_and_instances_with_their_state() {
    within(async {
        let tagged = v1::ModelInfo { tags: vec!["canary".into()], ..model("m") };
        let (a, b) = (Worker::named("a").start(), Worker::named("b").with(tagged).start());
        let router = fake::router(&[&a, &b], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 2).await;
        client.embed(embed("m")).await.expect("is answered");
        let mut mesh = MeshServiceClient::new(fake::channel(&router).await);
        let models = mesh.list_models(v1::ListModelsRequest {}).await.expect("is answered").into_inner().models;
        assert_eq!(models.len(), 1);
        assert_eq!(models[0].tags, ["canary"]);
        b.kill();
        fake::until_ready(&router, 1).await;
        let listed = mesh.list_instances(v1::ListInstancesRequest {}).await.expect("is answered").into_inner();
        let states: Vec<_> = listed.instances.iter().map(|i| (i.instance.as_str(), i.state())).collect();
        assert_eq!(states, [("a", InstanceState::Ready), ("b", InstanceState::Down)]);
        assert_eq!(listed.instances.iter().map(|i| i.requests).sum::<u64>(), 1);
        let own = mesh.describe_instance(v1::DescribeInstanceRequest {}).await.expect("is answered").into_inner();
        assert_eq!((own.instance.as_str(), own.models.len(), own.queue_limit), ("router", 0, 4096));
    })
    .await;
}
