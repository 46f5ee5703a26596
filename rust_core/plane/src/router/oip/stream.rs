//! Many requests over one stream, worked on side by side.
//!
//! What is written comes in pieces as they are there, several requests' pieces mixed.  Whole answers come in the order
//! of their requests, as Triton's do of models that answer once: each waits for its turn, which is when the whole
//! answer before it has been given.  A request that fails says so under its id, and the stream goes on.

use std::{pin::Pin, sync::Arc};

use futures::{
    Stream, StreamExt,
    channel::oneshot,
    stream::{self, BoxStream},
};
use tonic::Status;

use super::{
    Oip,
    answered::Answered,
    generate::{Piece, Pieces},
    infer::{Infer, Writing},
    inner::{Arrival, said},
    parameters::flag,
    signed::mended,
};
use crate::{
    error::Error,
    proto::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse},
    router::Plane,
};

/// Requests of one stream that are worked on at once; more wait in the connection.
const AHEAD: usize = 64;
/// Whether a response is its request's last.
const FINAL: &str = "triton_final_response";
/// Metadata by which a caller wants a status that ends the stream, in place of `error_message`.
const STATUS_WANTED: &str = "triton_grpc_error";

type Response = Result<ModelStreamInferResponse, Status>;
/// Responses as they are sent.
pub type Responses = Pin<Box<dyn Stream<Item = Response> + Send>>;

/// Answers all of `requests`.
pub fn answers<S>(oip: Oip, arrival: Arrival, requests: S) -> Responses
where
    S: Stream<Item = Result<ModelInferRequest, Status>> + Send + 'static,
{
    let plane = oip.plane.clone();
    let limit = plane.config.limits.max_receive_bytes;
    let mut conversation = Conversation::new(oip, arrival);
    let each = requests.take_until(plane.leaving.clone().cancelled_owned()).map(move |request| match request {
        Ok(request) => conversation.answer(request),
        Err(status) => stream::iter([Err(mended(status, limit))]).boxed(),
    });
    Box::pin(each.flatten_unordered(AHEAD).chain(stream::once(farewell(plane)).filter_map(std::future::ready)))
}

/// Once all that was asked is answered: who wants to go on is told to do so elsewhere.
async fn farewell(plane: Arc<Plane>) -> Option<Response> {
    let instance = plane.config.instance.clone();
    plane.leaving.is_cancelled().then(|| Err(Error::Draining { instance }.into()))
}

/// What the requests of a stream have in common.
struct Conversation {
    oip: Oip,
    arrival: Arrival,
    manner: Manner,
    turns: Turns,
}

impl Conversation {
    fn new(oip: Oip, arrival: Arrival) -> Self {
        let manner = Manner { strict: arrival.header(STATUS_WANTED) == Some("true") };
        Self { oip, arrival: arrival.unnamed(), manner, turns: Turns::default() }
    }

    fn answer(&mut self, request: ModelInferRequest) -> BoxStream<'static, Response> {
        let (id, manner) = (request.id.clone(), self.manner);
        let read = match Infer::read(&self.oip, &self.arrival, request).map(Infer::split) {
            Ok(Ok(writing)) => return written(writing, manner).boxed(),
            Ok(Err(infer)) => Ok(infer),
            Err(error) => Err(error),
        };
        let turn = self.turns.next();
        let answer = async move {
            let answer = match read {
                Ok(infer) => infer.answer().await,
                Err(error) => Err(error.into()),
            };
            turn.come().await;
            manner.whole(id, answer)
        };
        stream::once(answer).boxed()
    }
}

/// Puts whole answers in the order of their requests.
#[derive(Default)]
struct Turns {
    last: Option<oneshot::Receiver<()>>,
}

/// Its end, however it ends, is the next one's beginning.
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _next: oneshot::Sender<()>,
}

impl Turns {
    fn next(&mut self) -> Turn {
        let (next, ended) = oneshot::channel();
        Turn { before: self.last.replace(ended), _next: next }
    }
}

impl Turn {
    async fn come(self) {
        if let Some(before) = self.before {
            // Nothing is ever sent: it ends when its sender does.
            let _ = before.await;
        }
    }
}

/// How failures are told.
#[derive(Clone, Copy)]
struct Manner {
    strict: bool,
}

impl Manner {
    fn whole(self, id: String, answer: Result<Answered, Status>) -> Response {
        match answer {
            Ok(answered) => Ok(response(answered, id, true)),
            Err(status) => self.failed(id, status),
        }
    }

    /// Where only a text is wanted, what the router said of the call is kept beside it.
    fn failed(self, id: String, status: Status) -> Response {
        if self.strict {
            return Err(status);
        }
        let answered = Answered { said: said(status.metadata().as_ref()), ..Answered::default() };
        let infer_response = Some(answered.into_response(id));
        Ok(ModelStreamInferResponse { error_message: status.message().to_string(), infer_response })
    }
}

fn response(answered: Answered, id: String, last: bool) -> ModelStreamInferResponse {
    let mut infer_response = answered.into_response(id);
    infer_response.parameters.insert(FINAL.into(), flag(last));
    ModelStreamInferResponse { error_message: String::new(), infer_response: Some(infer_response) }
}

/// Where the writing of an answer is.
enum State {
    Asked,
    Written(Pieces),
    /// All is said but that this was all.
    Last(ModelInferResponse),
    Over,
}

/// What is written, in pieces.
fn written(writing: Writing, manner: Manner) -> impl Stream<Item = Response> + Send {
    stream::unfold((writing, State::Asked), move |(writing, state)| async move {
        let (response, state) = match step(&writing, state).await {
            Ok(stepped) => stepped?,
            Err(status) => {
                writing.tally.fail();
                (manner.failed(writing.id.clone(), status), State::Over)
            }
        };
        Some((response, (writing, state)))
    })
}

async fn step(writing: &Writing, state: State) -> Result<Option<(Response, State)>, Status> {
    let mut pieces = match state {
        State::Asked => writing.pieces().await?,
        State::Written(pieces) => pieces,
        State::Last(response) => {
            return Ok(Some((
                Ok(ModelStreamInferResponse { infer_response: Some(response), ..Default::default() }),
                State::Over,
            )));
        }
        State::Over => return Ok(None),
    };
    Ok(Some(match pieces.next().await? {
        Piece::Text(answered) => (Ok(response(answered, writing.id.clone(), false)), State::Written(pieces)),
        Piece::Last(answered) => {
            writing.tally.succeed(&answered);
            end(writing, answered)
        }
    }))
}

fn end(writing: &Writing, answered: Answered) -> (Response, State) {
    let served = answered.served.clone();
    let whole = response(answered, writing.id.clone(), !writing.empty_final);
    if !writing.empty_final {
        return (Ok(whole), State::Over);
    }
    let empty = Answered { served, ..Answered::default() };
    let last = response(empty, writing.id.clone(), true);
    (Ok(whole), last.infer_response.map_or(State::Over, State::Last))
}
