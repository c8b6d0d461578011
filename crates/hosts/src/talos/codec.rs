//! Messages of Protocol Buffers on their way through tonic.

use std::marker::PhantomData;

use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// How messages become bytes and the other way round, for tonic: one kind is sent, one received.
#[derive(Clone, Copy, Debug)]
pub struct Wire<Sent, Received>(PhantomData<fn() -> (Sent, Received)>);

impl<Sent, Received> Default for Wire<Sent, Received> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Sent, Received> Codec for Wire<Sent, Received>
where
    Sent: prost::Message + Send + 'static,
    Received: prost::Message + Default + Send + 'static,
{
    type Encode = Sent;
    type Decode = Received;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }
    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<Sent: prost::Message, Received> Encoder for Wire<Sent, Received> {
    type Item = Sent;
    type Error = tonic::Status;

    fn encode(&mut self, item: Sent, buffer: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        item.encode(buffer).map_err(|error| tonic::Status::internal(error.to_string()))
    }
}

impl<Sent, Received: prost::Message + Default> Decoder for Wire<Sent, Received> {
    type Item = Received;
    type Error = tonic::Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Received>, tonic::Status> {
        let message = Received::decode(buffer);
        message.map(Some).map_err(|error| tonic::Status::internal(format!("the answer cannot be read: {error}")))
    }
}
