//! `ClassifyService`: labels from a head over shared vectors, or from a sequence classifier's logits.

use std::{sync::Arc, time::Instant};

use tonic::{Request, Response, Status};
use waypost_text::head::{LinearHead, Scores};

use super::{
    cache::Row,
    model::{Model, Output, Work},
    off_reactor,
    shell::{Arrival, SharedShell, Shell, invalid},
    watch::trail::Mark,
};
use crate::{
    error::Error,
    proto::v1::{self, Task, classify_service_server::ClassifyService},
};

/// The service of one worker.
#[derive(Clone)]
pub struct Classifier(pub SharedShell);

#[tonic::async_trait]
impl ClassifyService for Classifier {
    async fn classify(&self, request: Request<v1::ClassifyRequest>) -> Result<Response<v1::ClassifyResponse>, Status> {
        let arrival = self.0.arrive(&request);
        Ok(Response::new(classify(&self.0, &arrival, request.into_inner()).await?))
    }
}

/// Which labels are returned.
#[derive(Clone, Copy)]
struct Cut {
    top_k: usize,
    threshold: f32,
}

async fn classify(
    shell: &Shell,
    arrival: &Arrival,
    request: v1::ClassifyRequest,
) -> Result<v1::ClassifyResponse, Error> {
    let model = shell.model(&request.model, arrival, Task::Classify)?;
    shell.limits().check("texts", &request.texts)?;
    let cut = cut(&request)?;
    let head = head_name(model, &request.head)?;
    let work = shell.work(arrival, request.route.as_ref(), request.truncation, request.texts.len())?;
    let texts = Arc::new(request.texts);
    let (results, output) = match model.head(&head) {
        None => from_logits(model, &texts, cut, work).await?,
        Some(linear) => from_head(model, linear, &texts, cut, work).await?,
    };
    Ok(v1::ClassifyResponse {
        served: shell.served(&model.config.identity),
        timings: arrival.timings(output.stages),
        head,
        results,
        usage: output.usage,
    })
}

fn cut(request: &v1::ClassifyRequest) -> Result<Cut, Error> {
    let threshold = request.threshold;
    if !(0.0..=1.0).contains(&threshold) {
        return Err(invalid("threshold", threshold, "from 0 to 1"));
    }
    let top_k = if request.top_k == 0 { usize::MAX } else { request.top_k as usize };
    Ok(Cut { top_k, threshold })
}

/// The head a request means; a model with one head needs none named.
fn head_name(model: &Model, asked: &str) -> Result<String, Error> {
    let known = model.head_names();
    match known.as_slice() {
        [only] if asked.is_empty() => Ok(only.to_string()),
        names if names.contains(&asked) => Ok(asked.to_string()),
        names if asked.is_empty() => Err(invalid("head", "empty", format!("one of {}", names.join(", ")))),
        names => {
            Err(Error::HeadNotFound { model: model.name().to_string(), head: asked.into(), known: names.join(", ") })
        }
    }
}

type Classified = (Vec<v1::Classification>, Output);

async fn from_logits(model: &Model, texts: &Arc<Vec<String>>, cut: Cut, work: Work) -> Result<Classified, Error> {
    let output = model.rows("texts", texts, 0, work).await?;
    let labels = &model.config.labels;
    let classify = |row: &Row| v1::Classification { labels: best(labels, &softmax(row), cut), ..Default::default() };
    Ok((output.rows.iter().map(classify).collect(), output))
}

async fn from_head(
    model: &Model,
    head: &Arc<LinearHead>,
    texts: &Arc<Vec<String>>,
    cut: Cut,
    work: Work,
) -> Result<Classified, Error> {
    let (deadline, trail) = (work.deadline, work.trail.clone());
    let output = match head.needs_vector() {
        Some(_) => model.rows("texts", texts, model.config.dimensions, work).await?,
        None => Output { usage: vec![v1::TextUsage::default(); texts.len()], ..Output::default() },
    };
    let started = Instant::now();
    trail.mark(Mark::Begun, started);
    let (linear, texts, rows) = (head.clone(), texts.clone(), output.rows.clone());
    let bytes = texts.iter().map(String::len).sum();
    let score = move || {
        let each = |(index, text): (usize, &String)| linear.score(rows.get(index).map(|row| &row[..]), text);
        texts.iter().enumerate().map(each).collect::<Result<Vec<Scores>, _>>()
    };
    let scores = deadline.run("inference", off_reactor(bytes, score)).await?.map_err(|error| model.failed(error))?;
    let results = scores.into_iter().map(|scores| classification(head, &scores, cut)).collect();
    let (mut output, ended) = (output, Instant::now());
    trail.mark_last(Mark::Done, ended);
    output.stages.inference += ended - started;
    Ok((results, output))
}

fn classification(head: &LinearHead, scores: &Scores, cut: Cut) -> v1::Classification {
    v1::Classification {
        labels: best(head.labels(), &scores.probabilities, cut),
        out_of_scope: scores.out_of_scope,
        energy: scores.energy,
    }
}

fn best(labels: &[String], scores: &[f32], cut: Cut) -> Vec<v1::LabelScore> {
    let mut order: Vec<usize> = (0..labels.len()).filter(|&index| scores[index] >= cut.threshold).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(cut.top_k);
    order.into_iter().map(|index| v1::LabelScore { label: labels[index].clone(), score: scores[index] }).collect()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponents: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let total: f32 = exponents.iter().sum();
    exponents.into_iter().map(|exponent| exponent / total).collect()
}
